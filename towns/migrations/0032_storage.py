"""How the busiest tables lie on PostgreSQL, as measured (docs/database.md, bench/storage.py).

1. `fillfactor` of the towns: a sweep writes each town anew, and with room on the same page no index
   needs to know. It holds for pages from now on; those that are full get room as their old row
   versions are cleared away. The lock lets others read and write.
2. The index of a partition that allows one check per town and slot begins with the slot: a sweep then
   writes to one place of it, and not to as many pages as there are towns. Partitions with rows keep
   theirs until they are dropped, and so does one that is in use just now: the rule is the same.

Nothing of it on SQLite.
"""

from typing import Any

from django.db import OperationalError, migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

TOWNS, CHECKS = "towns_town", "towns_healthcheck"
FILLFACTOR = 85
_LOCK_NOT_AVAILABLE = "55P03"


def settle(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Forwards."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE {TOWNS} SET (fillfactor = {FILLFACTOR})")
        _order_indexes(schema_editor.connection, "slot, town_id")


def unsettle(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Backwards."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE {TOWNS} RESET (fillfactor)")
        _order_indexes(schema_editor.connection, "town_id, slot")


def _order_indexes(connection: Any, columns: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = to_regclass(%s) ORDER BY 1",
            [CHECKS],
        )
        for (name,) in cursor.fetchall():
            _order(connection, cursor, name, columns)


def _order(connection: Any, cursor: Any, name: str, columns: str) -> None:
    """In a transaction of its own, which waits for its lock briefly, or not at all."""
    try:
        with transaction.atomic(connection.alias):
            cursor.execute("SET LOCAL lock_timeout = '500ms'")
            cursor.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
            cursor.execute(f"SELECT EXISTS (SELECT FROM {name})")
            if not cursor.fetchone()[0]:
                cursor.execute(f"DROP INDEX IF EXISTS {name}_slot")
                cursor.execute(
                    f"CREATE UNIQUE INDEX {name}_slot ON {name} ({columns}) WHERE slot IS NOT NULL"
                )
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != _LOCK_NOT_AVAILABLE:
            raise


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("towns", "0031_fly_apps")]
    operations = [migrations.RunPython(settle, unsettle, atomic=False)]
