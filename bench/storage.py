"""`python -m bench.storage [--towns N] [--sweeps N]`: what a sweep's writes cost PostgreSQL.

It makes a database of its own on the server of GASTOWN_TEST_POSTGRESQL, which must be on this
machine and quiet, fills it with towns, stores sweep after sweep of healthy ones as a worker does
(lock a chunk, one `UPDATE … FROM unnest`), once for each way to keep the table, and drops it
again.

Autovacuum is played by the bench, so that it comes at the same points in each run: after a sweep,
if the table's dead rows are over its threshold, at autovacuum's slow pace; ANALYZE likewise.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bench import fleet, meter
from bench.database import SERVER, NoServer, own_database
from bench.meter import Cost

NAME = "gastown_bench_storage"
TABLE = "towns_town"
CHUNK = 500
PERIOD = timedelta(minutes=3)
HEALTH = (
    '{"daemon_running": true, "dolt_running": true, "tmux_sessions": 7, "polecats_active": 1, '
    '"polecats_total": 3, "merge_queue": 0, "disk_used": 1200000000, "disk_total": 50000000000, '
    '"memory_used": %d, "memory_total": 8000000000, "cpu_ratio": 0.12}'
)
CHANGED = {
    "last_checked_at": "timestamptz",
    "last_slot": "timestamptz",
    "last_ok_at": "timestamptz",
    "last_heartbeat_at": "timestamptz",
    "last_backup_at": "timestamptz",
    "health": "jsonb",
}
"""What a good check changes of a healthy town."""
UNCHANGED = ("status", "status_since", "status_event_id", "episode_since", "consecutive_failures")
"""What it may change, set to what it is."""
WARM_UP = 5
"""Sweeps before the table is as it stays."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to keep the towns."""

    name: str
    fillfactor: int = 100
    scale: float = 0.2
    """autovacuum_vacuum_scale_factor"""
    analyze: float = 0.1
    """autovacuum_analyze_scale_factor"""
    rewritten: bool = True
    """Whether the table is as loaded with that fillfactor, or was full before."""
    table: str = TABLE
    columns: dict[str, str] = field(default_factory=lambda: CHANGED)
    extra_set: Sequence[str] = ()
    index: str = ""
    """An index beside those that there are."""
    reader: bool = False
    """Whether somebody reads in one transaction all the while, as `pg_dump` does."""


WAYS = (
    *(Way(f"fillfactor {factor}", factor) for factor in (100, 95, 90, 85, 70, 50)),
    *(Way(f"fillfactor {f}, set on a full table", f, rewritten=False) for f in (85, 70)),
    *(Way(f"fillfactor {f}, vacuum at 2 %", f, scale=0.02) for f in (100, 85, 70)),
    Way("fillfactor 85, analyze at 200 %", 85, analyze=2.0),
    Way("fillfactor 85, unchanged columns set too", 85, extra_set=UNCHANGED),
    Way("fillfactor 85, an index on last_checked_at", 85, index="last_checked_at"),
    Way("narrow table, fillfactor 100", 100, table="bench_health"),
    Way("narrow table, fillfactor 85", 85, table="bench_health"),
    Way("narrow table, fillfactor 50", 50, table="bench_health"),
    Way("fillfactor 100, with a long reader", 100, reader=True),
    Way("fillfactor 85, with a long reader", 85, reader=True),
)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--towns", type=int, default=20_000)
    parser.add_argument("--sweeps", type=int, default=20)
    parser.add_argument("--only", nargs="*", help="these ways, by their names")
    wanted = parser.parse_args()
    try:
        with own_database(NAME):
            _fill(wanted.towns)
            print(f"{wanted.towns:,} healthy towns, per sweep after {WARM_UP} of {wanted.sweeps}")
            print(
                f"{'':42}{'wall':>8}   {'CPU':>8}   {'log':>8}    {'HOT':>6}{'dead':>9}"
                f"{'vacuum CPU':>12}{'analyze':>9}{'table':>10}{'indexes':>10}"
            )
            for way in WAYS:
                if not wanted.only or way.name in wanted.only:
                    measure(way, wanted.sweeps)
    except NoServer as error:
        print(error)
        return 2
    return 0


def _fill(towns: int) -> None:
    from django.contrib.auth.models import User
    from django.db import connection

    first = User.objects.bulk_create(User(username=f"owner-{n}") for n in range(2000))[0].pk
    meter.run(f"ALTER TABLE {TABLE} DISABLE TRIGGER USER")
    with connection.cursor() as cursor:
        cursor.execute(*fleet.town_rows(towns, first))
    meter.run(
        f"UPDATE {TABLE} SET status = 'running', stop_reason = '', desired_state = 'running', "
        f"health = '{HEALTH % 900000000}', last_slot = now(), last_ok_at = now(), "
        "last_heartbeat_at = now()",
        f"ALTER TABLE {TABLE} ENABLE TRIGGER USER",
    )


def measure(way: Way, sweeps: int) -> None:
    """Print a line."""
    _lay_out(way)
    ids = _ids()
    swept, vacuumed, analyzed = Cost(), Cost(), Cost()
    with _reader() if way.reader else nullcontext():
        for number in range(sweeps):
            if number == WARM_UP:
                before = meter.table(way.table)
                swept, vacuumed, analyzed = Cost(), Cost(), Cost()
            swept += meter.cost_of(lambda number=number: sweep(way, ids, number))
            now = meter.table(way.table)
            if now.dead > 50 + way.scale * now.rows:
                vacuumed += meter.cost_of(lambda: meter.run(f"VACUUM {way.table}"))
            if now.changed_since_analyze > 50 + way.analyze * now.rows:
                analyzed += meter.cost_of(lambda: meter.run(f"ANALYZE {way.table}"))
    after = meter.table(way.table)
    count = sweeps - WARM_UP
    hot = (after.hot - before.hot) / (after.updated - before.updated)
    print(
        f"{way.name:42}{swept / count} {100 * hot:7.1f} %{now.dead:9,}"
        f"{vacuumed.cpu / count:10.2f} s{analyzed.cpu / count:7.2f} s"
        f"{after.heap / 1e6:7.1f} MB{after.indexes / 1e6:7.1f} MB",
        flush=True,
    )
    _clear(way)


def _lay_out(way: Way) -> None:
    columns = ", ".join(way.columns)
    if way.table != TABLE:
        meter.run(
            f"CREATE TABLE {way.table} AS SELECT id, {columns} FROM {TABLE} ORDER BY created_at",
            f"ALTER TABLE {way.table} ADD PRIMARY KEY (id)",
        )
    if way.index:
        meter.run(f"CREATE INDEX bench_index ON {way.table} ({way.index})")
    settle = f"ALTER TABLE {way.table} SET (fillfactor = {way.fillfactor})"
    if way.rewritten:
        meter.run(settle, f"VACUUM FULL {way.table}")
    else:
        meter.run(f"ALTER TABLE {way.table} RESET (fillfactor)", f"VACUUM FULL {way.table}", settle)
    meter.run(
        f"ALTER TABLE {way.table} SET (autovacuum_enabled = false)",
        f"VACUUM ANALYZE {way.table}",
        "CHECKPOINT",
        "SET vacuum_cost_delay = '2ms'",
    )


def _clear(way: Way) -> None:
    if way.table != TABLE:
        meter.run(f"DROP TABLE {way.table}")
    if way.index:
        meter.run("DROP INDEX bench_index")


def _ids() -> list[Any]:
    from towns.models import Town

    return list(Town.objects.order_by("pk").values_list("pk", flat=True))


def sweep(way: Way, ids: list[Any], number: int) -> None:
    """Store one sweep, chunk by chunk."""
    from django.db import connection, transaction

    begun = datetime.now(UTC).replace(microsecond=0) + number * PERIOD
    sets = [f"{name} = new.{name}" for name in way.columns]
    sets += [f"{name} = {way.table}.{name}" for name in way.extra_set]
    arrays = ", ".join(f"%s::{kind}[]" for kind in ("uuid", *way.columns.values()))
    statement = (
        f"UPDATE {way.table} SET {', '.join(sets)} FROM unnest({arrays}) "
        f"AS new (id, {', '.join(way.columns)}) WHERE {way.table}.id = new.id"
    )
    for first in range(0, len(ids), CHUNK):
        chunk = ids[first : first + CHUNK]
        now = begun + timedelta(milliseconds=first)
        values = {
            "timestamptz": [now] * len(chunk),
            "jsonb": [
                HEALTH % (900000000 + (number * 7919 + n) % 10**8) for n in range(len(chunk))
            ],
        }
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"SELECT * FROM {TABLE} WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [chunk]
            )
            cursor.fetchall()
            cursor.execute(statement, [chunk, *(values[kind] for kind in way.columns.values())])


@contextmanager
def _reader() -> Iterator[None]:
    """Another session's transaction, which goes on seeing the towns as they are now."""
    import psycopg

    with psycopg.connect(f"{SERVER}/{NAME}") as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute(f"SELECT count(*) FROM {TABLE}")
        yield


if __name__ == "__main__":
    sys.exit(main())
