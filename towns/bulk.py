"""Many rows written by one statement, at a cost per row that a sweep over a fleet can bear.

Django's `bulk_update` builds one CASE per column with one WHEN per row: most of what a sweep of
healthy towns cost. PostgreSQL joins the table with arrays of the new values instead (`UPDATE … FROM
unnest(…)`), and takes new rows by COPY; SQLite runs one prepared UPDATE for each row, and inserts
as Django does.

All take plain values only and send no signals, like `bulk_update`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import connections, models, router, transaction


def update_rows(rows: Sequence[models.Model], fields: Sequence[str]) -> None:
    """Save these fields of saved rows of one model, as they are in memory.

    What `rows` holds is written whatever was changed meanwhile: the caller has the rows locked.
    """
    if rows:
        model = type(rows[0])
        attributes = {name: _field(model, name).attname for name in fields}
        update_columns(
            model,
            [row.pk for row in rows],
            each={name: [getattr(row, at) for row in rows] for name, at in attributes.items()},
        )


def update_columns(
    model: type[models.Model],
    keys: Sequence[Any],
    *,
    each: Mapping[str, Sequence[Any]],
    alike: Mapping[str, Any] | None = None,
) -> None:
    """Save values in the rows of these keys, by the names of their fields: `alike` the same in all
    of them, `each` one a key. The caller has the rows locked."""
    if not keys:
        return
    connection = connections[router.db_for_write(model)]
    same = {_field(model, name): value for name, value in (alike or {}).items()}
    columns = {_field(model, name): values for name, values in each.items()}
    columns[model._meta.pk] = keys
    with transaction.atomic(using=connection.alias, savepoint=False), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            values = [_plainly(field, values) for field, values in columns.items()]
            shared = [_plainly(field, [value])[0] for field, value in same.items()]
            cursor.execute(_joined(model, list(same), list(columns), connection), shared + values)
        else:
            rows = zip(
                *(
                    [field.get_db_prep_save(one, connection) for one in values]
                    for field, values in columns.items()
                ),
                strict=True,
            )
            shared = [field.get_db_prep_save(value, connection) for field, value in same.items()]
            statement = _one_by_one(model, [*same, *columns], connection)
            cursor.executemany(statement, [(*shared, *row) for row in rows])


def insert_rows(
    model: type[models.Model],
    alike: Mapping[str, Any],
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> None:
    """Insert rows: `names` are the columns of their values, `alike` has those that are the same in
    all of them. JSON is not taken."""
    if not rows:
        return
    connection = connections[router.db_for_write(model)]
    if connection.vendor != "postgresql":
        model._default_manager.bulk_create(
            model(**alike, **dict(zip(names, row, strict=True))) for row in rows
        )
        return
    quote = connection.ops.quote_name
    columns = ", ".join(quote(name) for name in (*alike, *names))
    table, same = quote(model._meta.db_table), tuple(map(_plain, alike.values()))
    with (
        transaction.atomic(using=connection.alias, savepoint=False),
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row((*same, *row))


def _field(model: type[models.Model], name: str) -> Any:
    return model._meta.get_field(name)


def _plainly(field: Any, values: Sequence[Any]) -> list[Any]:
    """As psycopg takes them in an array."""
    plain: Callable[[Any], Any] = json.dumps if isinstance(field, models.JSONField) else _plain
    return list(map(plain, values))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value  # an array takes no mix of str and enum


def _joined(
    model: type[models.Model], alike: Sequence[Any], fields: Sequence[Any], connection: Any
) -> str:
    """`fields` end with the key."""
    quote = connection.ops.quote_name
    table, key = quote(model._meta.db_table), quote(fields[-1].column)
    sets = [f"{quote(field.column)} = %s" for field in alike]
    sets += [f"{quote(field.column)} = new.{quote(field.column)}" for field in fields[:-1]]
    arrays = ", ".join(f"%s::{field.cast_db_type(connection)}[]" for field in fields)
    names = ", ".join(quote(field.column) for field in fields)
    return (
        f"UPDATE {table} SET {', '.join(sets)} FROM unnest({arrays}) AS new ({names}) "
        f"WHERE {table}.{key} = new.{key}"
    )


def _one_by_one(model: type[models.Model], fields: Sequence[Any], connection: Any) -> str:
    """`fields` end with the key."""
    quote = connection.ops.quote_name
    *sets, key = (f"{quote(field.column)} = %s" for field in fields)
    return f"UPDATE {quote(model._meta.db_table)} SET {', '.join(sets)} WHERE {key}"
