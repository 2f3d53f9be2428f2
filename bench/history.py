"""`python -m bench.history [--rows N]`: health history on PostgreSQL, small against big.

It makes a database of its own on the server of GASTOWN_TEST_POSTGRESQL, fills it with checks of the
last 14 days, one of each town every 3 minutes, and drops it again. Beside the partitioned table
lies a plain one with the same rows and the indexes that it had before.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.database import NoServer, own_database

NAME = "gastown_bench_history"
DAYS = 14
PER_DAY = 480
CHUNK = 500
PLAIN = "bench_plain"
COLUMNS = (
    "town_id, slot, checked_at, result, kind, reason, latency_ms, heartbeat_at, daemon_running, "
    "dolt_running, tmux_sessions, polecats_active, polecats_total, merge_queue, disk_used, "
    "disk_total, memory_used, memory_total, cpu_ratio"
)
VALUES = (
    "id, at, at, 'ok', '', '', 31, at, true, true, 7, 0, 3, 0, 1200000000, 50000000000, "
    "900000000, 8000000000, 0.12"
)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the big table")
    rows = parser.parse_args().rows
    try:
        with own_database(NAME):
            _run(rows)
    except NoServer as error:
        print(f"Health history is left out. {error}")
    return 0


def _run(rows: int) -> None:
    from django.db import connection

    from bench.sweep import make_towns

    towns = make_towns(max(CHUNK, rows // (DAYS * PER_DAY)))
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {PLAIN} (LIKE towns_healthcheck INCLUDING DEFAULTS)")
        cursor.execute(f"""
            ALTER TABLE {PLAIN} ADD PRIMARY KEY (id);
            ALTER TABLE {PLAIN} ADD FOREIGN KEY (town_id) REFERENCES towns_town (id)
                DEFERRABLE INITIALLY DEFERRED;
            CREATE INDEX ON {PLAIN} (town_id);
            CREATE INDEX ON {PLAIN} (town_id, checked_at DESC);
            CREATE INDEX ON {PLAIN} (checked_at);
            CREATE UNIQUE INDEX ON {PLAIN} (town_id, slot) WHERE slot IS NOT NULL;
        """)
    ids = [town.pk for town in towns]
    small = {table: measure(table, ids) for table in ("towns_healthcheck", PLAIN)}
    filled = {table: seconds(lambda table=table: fill(table, rows)) for table in small}
    big = {table: measure(table, ids) for table in small}
    print(f"Health history, {rows:,} checks of {len(ids)} towns in {DAYS} days, PostgreSQL")
    print(f"  {'':34}{'empty':>12}{'full':>12}{'ratio':>8}")
    for table, said in (("towns_healthcheck", "partitioned"), (PLAIN, "plain")):
        for what, before, after in zip(
            ("a chunk of 500 checks stored", "a town's latest 50 checks"),
            small[table],
            big[table],
            strict=True,
        ):
            print(f"  {what + ', ' + said:42}{before:8.2f} ms{after:9.2f} ms{after / before:8.2f}")
        print(f"  {'filled, ' + said:42}{rows / filled[table]:20,.0f} rows/s")
    remove()


def fill(table: str, rows: int) -> None:
    """The checks of 14 days, the oldest first; autovacuum has been there."""
    from django.db import connection

    # A share of the slots, if there are fewer checks than towns ask for in that time.
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM towns_town")
        (towns,) = cursor.fetchone()
        per_day = max(1, rows // (DAYS * towns))
        for day in range(DAYS, 0, -1):
            if table == "towns_healthcheck":
                _partition_of(cursor, day)
            cursor.execute(
                f"INSERT INTO {table} ({COLUMNS}) SELECT {VALUES} FROM generate_series(0, %s) n, "
                "LATERAL (SELECT date_trunc('day', now(), 'UTC') - %s * interval '1 day' "
                "+ n * interval '1 day' / %s AS at) slots, towns_town",
                [per_day - 1, day, per_day],
            )
        cursor.execute(f"VACUUM ANALYZE {table}")
        cursor.execute("CHECKPOINT")


def _partition_of(cursor: Any, days_ago: int) -> None:
    from django.db import transaction
    from django.utils import timezone

    from towns.upkeep import partitions

    with transaction.atomic():
        partitions._make(partitions.midnight(timezone.now()) - days_ago * partitions.DAY, cursor)


def measure(table: str, ids: list[Any]) -> tuple[float, float]:
    """Milliseconds: storing a chunk as a sweep does, and a town's latest checks; the medians."""
    from django.db import connection, transaction
    from django.utils import timezone

    rng = random.Random(1)
    chunk = ids[:CHUNK]

    def store() -> None:
        now = timezone.now()
        row = (now, now, "ok", "", "", 31, now, True, True, 7, 0, 3, 0, 1, 2, 1, 2, 0.1)
        places = ", ".join(["(" + ", ".join(["%s"] * 19) + ")"] * len(chunk))
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} ({COLUMNS}) VALUES {places} RETURNING id",
                [value for pk in chunk for value in (pk, *row)],
            )

    def latest() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT * FROM {table} WHERE town_id = %s "
                "ORDER BY checked_at DESC, id DESC LIMIT 51",
                [rng.choice(ids)],
            )
            cursor.fetchall()

    return median(store, 40), median(latest, 200)


def remove() -> None:
    """A day's checks: dropped with its partition, against deleted in batches."""
    from django.db import connection
    from django.utils import timezone

    from towns.upkeep import hours, partitions, prune

    now = timezone.now()
    first = partitions.partitions()[0]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {first.name}")
        (rows,) = cursor.fetchone()
    made = seconds(lambda: [hours.make_hour(first.until - n * hours.HOUR) for n in range(1, 25)])
    dropped = seconds(lambda: partitions.drop(first))

    def delete() -> None:
        with connection.cursor() as cursor:
            while True:
                cursor.execute(
                    f"DELETE FROM {PLAIN} WHERE id IN (SELECT id FROM {PLAIN} WHERE "
                    "checked_at < %s ORDER BY checked_at LIMIT %s)",
                    [first.until, prune.BATCH],
                )
                if cursor.rowcount < prune.BATCH:
                    break
            cursor.execute(f"VACUUM {PLAIN}")

    deleted = seconds(delete)
    rest = seconds(lambda: hours.make_hours(now))
    print(f"  a day of {rows:,} checks: its hourly figures made in {made:.2f} s, the others' in")
    print(
        f"    {rest:.2f} s; partition dropped in {1000 * dropped:.1f} ms, rows of the plain table"
    )
    print(f"    deleted and vacuumed in {deleted:.2f} s, {deleted / dropped:,.0f} times as long")


def median(work: Callable[[], object], times: int) -> float:
    """Milliseconds, after a few rounds to warm up."""
    for _ in range(5):
        work()
    return statistics.median(1000 * seconds(work) for _ in range(times))


def seconds(work: Callable[[], object]) -> float:
    """Wall time."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
