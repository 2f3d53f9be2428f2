"""One row by its key, read or changed by a statement that is built once.

Each step of an operation reads its town and saves its operation a few times. A QuerySet builds the
statement anew each time, which costs five times what running it does.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.sql.compiler import SQLCompiler
from django.db.transaction import TransactionManagementError

M = TypeVar("M", bound=models.Model)


def read_row(model: type[M], key: Any, *, lock: bool = False) -> M:
    """Read the row with this primary key; raises `model.DoesNotExist`.

    With `lock` it stays locked until the caller's transaction ends, as by
    `select_for_update(no_key=True)`; raises TransactionManagementError without a transaction.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    if lock and not connection.in_atomic_block:
        raise TransactionManagementError(f"{model.__name__} can be locked in a transaction only.")
    sql, compiler, converters = _selection(model, connection.vendor, lock)
    with connection.cursor() as cursor:
        cursor.execute(sql, [_value(model._meta.pk, key, connection)])
        row = cursor.fetchone()
    if row is None:
        unknown: type[Exception] = model.DoesNotExist  # type: ignore[attr-defined]  # no stub
        raise unknown(f"There is no {model._meta.verbose_name} {key}.")
    (values,) = compiler.apply_converters([row], converters)
    return model.from_db(connection.alias, _names(model), values)


def reload_row(row: models.Model) -> None:
    """Read it again, in place. A related row is kept if it is still the one that is named."""
    fresh = read_row(type(row), row.pk)
    for name in _names(type(row)):
        setattr(row, name, getattr(fresh, name))


def update_row(model: type[models.Model], where: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Set fields to plain values where all of `where` is equal; returns whether a row was changed.

    Sends no signals, like `QuerySet.update`.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    sql, fields = _change(model, connection.vendor, tuple(where), tuple(new))
    values = [*new.values(), *where.values()]
    with connection.cursor() as cursor:
        cursor.execute(
            sql, [_value(field, one, connection) for field, one in zip(fields, values, strict=True)]
        )
        return bool(cursor.rowcount)


@cache
def _selection(
    model: type[models.Model], vendor: str, lock: bool
) -> tuple[str, SQLCompiler, dict[int, Any]]:
    query = model._base_manager.filter(pk="0" * 32 if _is_uuid(model) else 0)
    if lock:
        query = query.select_for_update(no_key=True)
    compiler = query.query.get_compiler(DEFAULT_DB_ALIAS)
    sql, _ = compiler.as_sql()
    return sql, compiler, compiler.get_converters([column for column, *_ in compiler.select])


@cache
def _change(
    model: type[models.Model], vendor: str, where: tuple[str, ...], new: tuple[str, ...]
) -> tuple[str, list[Any]]:
    quote = connections[DEFAULT_DB_ALIAS].ops.quote_name
    changed: list[Any] = [model._meta.get_field(name) for name in new]
    asked: list[Any] = [model._meta.get_field(name) for name in where]
    sets = ", ".join(f"{quote(field.column)} = %s" for field in changed)
    equal = " AND ".join(f"{quote(field.column)} = %s" for field in asked)
    return f"UPDATE {quote(model._meta.db_table)} SET {sets} WHERE {equal}", [*changed, *asked]


@cache
def _names(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def _is_uuid(model: type[models.Model]) -> bool:
    return isinstance(model._meta.pk, models.UUIDField)


def _value(field: Any, value: Any, connection: Any) -> Any:
    return field.get_db_prep_save(value, connection)
