"""Invariant 7 in the database: a status changes only with its lifecycle event.

The trigger refuses an UPDATE of `status` unless, in the same statement, the row points to a new
lifecycle event of this town that says "from the old status, to the new one". It is dropped before
and made again after migrations, because SQLite rebuilds tables to alter them.
"""

from typing import Any

from django.db import connections

NAME = "towns_status_needs_event"

_CONDITION = """
    NEW.status_event_id IS NULL
    OR (OLD.status_event_id IS NOT NULL AND NEW.status_event_id = OLD.status_event_id)
    OR NOT EXISTS (
        SELECT 1 FROM towns_lifecycleevent e
        WHERE e.id = NEW.status_event_id AND e.town_id = NEW.id
          AND e.from_status = OLD.status AND e.to_status = NEW.status)
"""
_MESSAGE = "a town''s status changes only together with its lifecycle event"

_SQLITE = f"""
CREATE TRIGGER IF NOT EXISTS {NAME} BEFORE UPDATE ON towns_town
WHEN NEW.status <> OLD.status AND ({_CONDITION})
BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END
"""
_POSTGRESQL = f"""
CREATE OR REPLACE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF {_CONDITION} THEN
    RAISE EXCEPTION '{_MESSAGE}' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER {NAME} BEFORE UPDATE OF status ON towns_town FOR EACH ROW
WHEN (NEW.status <> OLD.status) EXECUTE FUNCTION {NAME}();
"""


def create(using: str = "default", **_: Any) -> None:
    """Make the trigger where its tables exist. Idempotent."""
    connection = connections[using]
    if not {"towns_town", "towns_lifecycleevent"} <= set(connection.introspection.table_names()):
        return
    with connection.cursor() as cursor:
        cursor.execute(_POSTGRESQL if connection.vendor == "postgresql" else _SQLITE)


def drop(using: str = "default", **_: Any) -> None:
    """Remove the trigger, for the time of the migrations. Idempotent."""
    connection = connections[using]
    if "towns_town" not in connection.introspection.table_names():
        return
    table = " ON towns_town" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER IF EXISTS {NAME}{table}")
