"""Many rows changed by one statement, at a cost per row that a sweep over a fleet can bear.

Django's `bulk_update` builds one CASE per column with one WHEN per row: most of what a sweep of
healthy towns cost. PostgreSQL joins the table with arrays of the new values instead (`UPDATE … FROM
unnest(…)`); SQLite runs one prepared UPDATE for each row.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connections, models, router, transaction


def update_rows(rows: Sequence[models.Model], fields: Sequence[str]) -> None:
    """Save these fields of saved rows of one model, as they are in memory.

    Takes plain values only, and sends no signals, like `bulk_update`. What `rows` holds is written
    whatever was changed meanwhile: the caller has the rows locked.
    """
    if not rows:
        return
    model = type(rows[0])
    connection = connections[router.db_for_write(model)]
    key = model._meta.pk
    changed = [model._meta.get_field(name) for name in fields]
    columns = [[_value(field, row, connection) for row in rows] for field in (*changed, key)]
    with transaction.atomic(using=connection.alias, savepoint=False), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_joined(model, changed, connection), columns)
        else:
            cursor.executemany(
                _one_by_one(model, changed, connection), list(zip(*columns, strict=True))
            )


def _value(field: Any, row: models.Model, connection: Any) -> Any:
    value = field.get_db_prep_save(getattr(row, field.attname), connection)
    return str(value) if isinstance(value, str) else value  # an array takes no mix of str and enum


def _joined(model: type[models.Model], fields: Sequence[Any], connection: Any) -> str:
    quote = connection.ops.quote_name
    key = model._meta.pk
    table = quote(model._meta.db_table)
    sets = ", ".join(f"{quote(field.column)} = new.{quote(field.column)}" for field in fields)
    arrays = ", ".join(f"%s::{field.cast_db_type(connection)}[]" for field in (*fields, key))
    names = ", ".join(quote(field.column) for field in (*fields, key))
    return (
        f"UPDATE {table} SET {sets} FROM unnest({arrays}) AS new ({names}) "
        f"WHERE {table}.{quote(key.column)} = new.{quote(key.column)}"
    )


def _one_by_one(model: type[models.Model], fields: Sequence[Any], connection: Any) -> str:
    quote = connection.ops.quote_name
    sets = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    key = quote(model._meta.pk.column)
    return f"UPDATE {quote(model._meta.db_table)} SET {sets} WHERE {key} = %s"
