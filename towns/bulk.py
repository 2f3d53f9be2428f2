"""Many rows written by one statement, at a cost per row that a sweep over a fleet can bear.

Django's `bulk_update` builds one CASE per column with one WHEN per row: most of what a sweep of
healthy towns cost. PostgreSQL joins the table with the new values instead, and takes new rows by
COPY; SQLite runs one prepared UPDATE for each row, and inserts as Django does. The new values are
one JSON text, since an array of texts takes psycopg several times as long to quote.

All take plain values only and send no signals, like `bulk_update`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections, models, router, transaction
from django.db.models.lookups import In


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
    shared = [field.get_db_prep_save(value, connection) for field, value in same.items()]
    with transaction.atomic(using=connection.alias, savepoint=False), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            names = [field.column for field in columns]
            rows = [
                dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ]
            statement = _joined(model, list(same), list(columns), connection)
            cursor.execute(statement, [*shared, json.dumps(rows, default=str)])
        else:
            prepared = [
                [field.get_db_prep_save(value, connection) for value in values]
                for field, values in columns.items()
            ]
            statement = _one_by_one(model, [*same, *columns], connection)
            cursor.executemany(statement, [(*shared, *row) for row in zip(*prepared, strict=True)])


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


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value  # psycopg takes an enum for a type


def _joined(
    model: type[models.Model], alike: Sequence[Any], fields: Sequence[Any], connection: Any
) -> str:
    """`fields` end with the key."""
    quote = connection.ops.quote_name
    table, key = quote(model._meta.db_table), quote(fields[-1].column)
    sets = [f"{quote(field.column)} = %s" for field in alike]
    sets += [f"{quote(field.column)} = new.{quote(field.column)}" for field in fields[:-1]]
    new = ", ".join(f"{quote(field.column)} {field.cast_db_type(connection)}" for field in fields)
    return (
        f"UPDATE {table} SET {', '.join(sets)} FROM json_to_recordset(%s) AS new ({new}) "
        f"WHERE {table}.{key} = new.{key}"
    )


def _one_by_one(model: type[models.Model], fields: Sequence[Any], connection: Any) -> str:
    """`fields` end with the key."""
    quote = connection.ops.quote_name
    *sets, key = (f"{quote(field.column)} = %s" for field in fields)
    return f"UPDATE {quote(model._meta.db_table)} SET {', '.join(sets)} WHERE {key}"


class AnyOf(In):
    """`field__any_of=ids`: like `__in`, but with one parameter on PostgreSQL, not one for each."""

    lookup_name = "any_of"

    def get_prep_lookup(self) -> Any:
        """The values, which must be of the field's own type."""
        return self.rhs

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, Sequence[Any]]:
        """A comparison with an array."""
        left, values = self.process_lhs(compiler, connection)
        kind = self.lhs.output_field.cast_db_type(connection)
        array = "{" + ",".join(map(str, self.rhs)) + "}"
        return f"{left} = ANY(%s::{kind}[])", [*values, array]


models.UUIDField.register_lookup(AnyOf)
models.ForeignKey.register_lookup(AnyOf)
