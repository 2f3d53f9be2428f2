"""What migrations that are not one transaction are made of: each part bears being run again, after a
run that broke off. Django loads no migration from a file whose name begins so.
"""

from typing import Any

from django.db import migrations, models
from django.db.migrations.operations.base import Operation


class _UnlessThere:
    """Does its part only where it isn't done; the same on the way back."""

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        """Make it, unless a run that broke off made it."""
        if not self._is_there(schema_editor):
            super().database_forwards(app_label, schema_editor, *states)  # type: ignore[misc]  # the operation's

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        """Remove it, unless a run that broke off removed it."""
        if self._is_there(schema_editor):
            super().database_backwards(app_label, schema_editor, *states)  # type: ignore[misc]  # the operation's

    def _is_there(self, schema_editor: Any) -> bool:
        raise NotImplementedError


class AddUnlessThere(_UnlessThere, migrations.AddField):
    """Adds a column."""

    def _is_there(self, schema_editor: Any) -> bool:
        connection = schema_editor.connection
        with connection.cursor() as cursor:
            table = f"towns_{self.model_name_lower}"
            columns = connection.introspection.get_table_description(cursor, table)
        return self.name in {column.name for column in columns}


class CreateUnlessThere(_UnlessThere, migrations.CreateModel):
    """Makes a table."""

    def _is_there(self, schema_editor: Any) -> bool:
        tables = schema_editor.connection.introspection.table_names()
        return f"towns_{self.name_lower}" in tables


def index_beside_writers(model: str, index: models.Index, on: str) -> Operation:
    """Makes an index, whose columns and condition `on` says in SQL, while others write to the table
    (PostgreSQL); one that a broken run left half-made is made anew. For migrations that aren't
    atomic."""

    def make(_apps: Any, schema_editor: Any) -> None:
        beside = ""
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}")
            beside = "CONCURRENTLY"
        schema_editor.execute(
            f"CREATE INDEX {beside} IF NOT EXISTS {index.name} ON towns_{model} {on}"
        )

    def drop(_apps: Any, schema_editor: Any) -> None:
        beside = "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""
        schema_editor.execute(f"DROP INDEX {beside} IF EXISTS {index.name}")

    return migrations.SeparateDatabaseAndState(
        database_operations=[migrations.RunPython(make, drop, atomic=False)],
        state_operations=[migrations.AddIndex(model, index)],
    )
