"""The daily partitions of health checks on PostgreSQL.

Days are UTC. A row of a day that has no partition goes to the default one, so that storing a check
never fails; a partition that is made late takes its rows over from there.

Locks are waited for half a second at most, since whoever waits for an exclusive lock has all
others queue up behind; that is shorter than the deadlock detector's second, so that no sweep is
ever its victim. What can't be had now is left to the next run. (Partitions can't be detached
concurrently from a table that has a default partition: they are dropped in a transaction that
touches the catalogue alone.)
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.db import OperationalError, connections, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

TABLE = "towns_healthcheck"
DEFAULT = f"{TABLE}_default"
AHEAD_DAYS = 7
"""Days ahead for which partitions are made."""
TRIES = 5
DAY = timedelta(days=1)
_ADVISORY_LOCK = 0x676173746F776E  # "gastown"
_LOCK_NOT_AVAILABLE = "55P03"
_BOUND = re.compile(r"FROM \((.+)\) TO \('(.+)'\)")


class Busy(Exception):
    """Somebody holds a lock for longer than is waited for. Nothing was changed: try again later."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One that holds the checks from `since` (None: from the beginning) until before `until`."""

    name: str
    since: datetime | None
    until: datetime

    def covers(self, moment: datetime) -> bool:
        """Whether a check of then belongs to it."""
        return (self.since is None or self.since <= moment) and moment < self.until


def is_partitioned(using: str = "default") -> bool:
    """Whether the table is: false on SQLite, and before the migration."""
    if connections[using].vendor != "postgresql":
        return False
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)", [TABLE])
        return bool(cursor.fetchone() == (True,))


def partitions(using: str = "default") -> list[Partition]:
    """All but the default one, the oldest first."""
    with connections[using].cursor() as cursor:
        return _partitions(cursor)


def make_ahead(now: datetime, using: str = "default") -> list[str]:
    """Make the partitions that are missing from today on, and those of days that have rows in the
    default one; returns the names of those that were made.

    Idempotent, and harmless when run twice at once. Raises Busy.
    """
    if not is_partitioned(using):
        return []
    today = midnight(now)
    days = {today + number * DAY for number in range(AHEAD_DAYS + 1)}
    days.update(_days_in_default(using, today))
    there = partitions(using)
    missing = [day for day in sorted(days) if not any(one.covers(day) for one in there)]
    return [name_of(day) for day in missing if _undisturbed(partial(_make, day), using)]


def after_migrate(using: str = "default", **_: Any) -> None:
    """Signal handler: checks go to partitions of their own from the start."""
    with contextlib.suppress(Busy):  # the schedule makes them too
        make_ahead(timezone.now(), using)


def drop(partition: Partition, using: str = "default") -> bool:
    """Drop one with its rows. False when somebody else did. Raises Busy.

    Not to be used alone: `towns.upkeep.prune` first sees to it that its hours are kept.
    """

    def work(cursor: CursorWrapper) -> bool:
        if partition not in _partitions(cursor):
            return False
        cursor.execute(f"DROP TABLE {partition.name}")
        return True

    return _undisturbed(work, using)


def in_default(before: datetime, using: str = "default") -> int:
    """How many checks from before then lie in the default partition."""
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {DEFAULT} WHERE checked_at < %s", [before])
        return int(cursor.fetchone()[0])


def midnight(moment: datetime) -> datetime:
    """When its UTC day began."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def name_of(day: datetime) -> str:
    """`towns_healthcheck_20260217`."""
    return f"{TABLE}_{day:%Y%m%d}"


def _partitions(cursor: CursorWrapper) -> list[Partition]:
    cursor.execute(
        "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i "
        "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(%s)",
        [TABLE],
    )
    found = []
    for name, bound in cursor.fetchall():
        # Without a bound it is the default one, or was dropped just now.
        if match := _BOUND.search(bound or ""):
            since = None if match[1] == "MINVALUE" else _utc(match[1].strip("'"))
            found.append(Partition(name, since, _utc(match[2])))
    return sorted(found, key=lambda one: one.until)


def _utc(text: str) -> datetime:
    """`2026-02-17 00:00:00+00`, in whatever zone the session has."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _make(day: datetime, cursor: CursorWrapper) -> bool:
    """Make one beside the others, fill it from the default one, attach it.

    The default partition is locked against readers and writers for as long as it takes to move the
    rows of one day, and at the end the towns against writers while their keys are looked up. There
    are no such rows if partitions are made in time.
    """
    if any(partition.covers(day) for partition in _partitions(cursor)):
        return False
    name, span = name_of(day), [day, day + DAY]
    cursor.execute(f"LOCK TABLE {DEFAULT} IN ACCESS EXCLUSIVE MODE")
    cursor.execute(f"CREATE TABLE {name} (LIKE {TABLE} INCLUDING CONSTRAINTS)")
    cursor.execute(
        f"WITH moved AS (DELETE FROM {DEFAULT} WHERE checked_at >= %s AND checked_at < %s "
        f"RETURNING *) INSERT INTO {name} SELECT * FROM moved",
        span,
    )
    cursor.execute(
        # The slot first: a sweep writes to one place of it, and not to as many pages as towns.
        f"CREATE UNIQUE INDEX {name}_slot ON {name} (slot, town_id) WHERE slot IS NOT NULL"
    )
    cursor.execute(
        f"ALTER TABLE {TABLE} ATTACH PARTITION {name} FOR VALUES FROM (%s) TO (%s)",
        [moment.isoformat() for moment in span],
    )
    return True


def _days_in_default(using: str, until: datetime) -> list[datetime]:
    """The days of rows that nobody made a partition for, by steps through the index."""
    found: list[datetime] = []
    with connections[using].cursor() as cursor:
        since = datetime.min.replace(tzinfo=UTC)
        while True:
            cursor.execute(
                f"SELECT min(checked_at) FROM {DEFAULT} WHERE checked_at >= %s AND checked_at < %s",
                [since, until],
            )
            (first,) = cursor.fetchone()
            if first is None:
                return found
            found.append(midnight(first))
            since = found[-1] + DAY


def _undisturbed(work: Callable[[CursorWrapper], bool], using: str) -> bool:
    """Run in a transaction of its own, one at a time, with patience for locks as said above."""
    for _ in range(TRIES):
        try:
            with transaction.atomic(using), connections[using].cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '500ms'")
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
                return work(cursor)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") != _LOCK_NOT_AVAILABLE:
                raise
    raise Busy("Health checks are in use by a transaction that takes long.")
