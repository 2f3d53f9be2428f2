"""`python -m bench.storage_checks [--towns N] [--slots N]`: a day's partition of a large fleet.

It makes a database of its own on the server of GASTOWN_TEST_POSTGRESQL, which must be on this
machine and quiet, fills a day's partition with the checks of so many slots, one of each town every
3 minutes, tells what storing another sweep costs with these indexes and with others, what is read
by which, how long an hour's figures and pruning's look take, and drops the database again.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from bench import meter
from bench.database import NoServer, own_database
from bench.fleet import CHECK_COLUMNS, town_rows
from bench.meter import Cost

NAME = "gastown_bench_checks"
TABLE = "towns_healthcheck"
CHUNK = 500
PER_CHUNK = timedelta(milliseconds=400)
PERIOD = timedelta(minutes=3)
SWEEPS = 3
BTREE = f"CREATE INDEX checks_by_time ON {TABLE} (checked_at)"
BRIN = f"CREATE INDEX checks_by_time ON {TABLE} USING brin (checked_at) WITH (pages_per_range = 32)"


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--towns", type=int, default=100_000)
    parser.add_argument("--slots", type=int, default=110, help="20 are an hour")
    wanted = parser.parse_args()
    try:
        with own_database(NAME):
            _run(wanted.towns, wanted.slots)
    except NoServer as error:
        print(error)
        return 2
    return 0


def _run(towns: int, slots: int) -> None:
    from django.utils import timezone

    from towns.upkeep import partitions

    day = partitions.midnight(timezone.now())
    part = partitions.name_of(day)
    ids = _make_towns(towns)
    filled = meter.cost_of(lambda: _fill(part, day, slots))
    rows = towns * slots
    print(f"{rows:,} checks in {part}, filled in {filled.wall:.0f} s")
    print(f"  table {_size(part)}, indexes {_index_sizes(part)}")
    print(f"Storing {towns:,} checks by COPY, {CHUNK} at once: wall, CPU of the backend, log")
    place = _Place(ids, day, slots)
    for name, before, after in _ways(part):
        meter.run(*before)
        print(f"  {name:30}{place.sweeps(SWEEPS)}", flush=True)
        meter.run(*after)
    for name, index in (("btree", BTREE), ("BRIN", BRIN)):
        meter.run("DROP INDEX checks_by_time", index, f"VACUUM ANALYZE {part}")
        print(f"Reading by time with a {name}, {_index_size(part, 'checked_at_idx')} MB")
        _read(day, ids)
    meter.run("DROP INDEX checks_by_time", BTREE, f"VACUUM ANALYZE {part}")
    _upkeep(part, day)


def _make_towns(towns: int) -> list[Any]:
    from django.contrib.auth.models import User
    from django.db import connection

    from towns.models import Town

    first = User.objects.bulk_create(User(username=f"owner-{n}") for n in range(2000))[0].pk
    with connection.cursor() as cursor:
        cursor.execute(*town_rows(towns, first))
    meter.run("VACUUM ANALYZE towns_town")
    return list(Town.objects.order_by("pk").values_list("pk", flat=True))


def _fill(part: str, day: datetime, slots: int) -> None:
    """In the order in which sweeps store: slot by slot, each by key. Indexes are made afterwards,
    or it would take four times as long."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname = ANY(%s)",
            [[TABLE, part], ["checks_of_a_town", "checks_by_time", f"{part}_slot"]],
        )
        made = [definition.replace(" ON ONLY ", " ON ") for (definition,) in cursor.fetchall()]
        meter.run(f"DROP INDEX checks_of_a_town, checks_by_time, {part}_slot")
        cursor.execute("SET session_replication_role = replica")  # their towns are there
        for slot in range(slots):
            cursor.execute(
                f"INSERT INTO {TABLE} ({CHECK_COLUMNS}) SELECT id, %(slot)s, %(slot)s + "
                f"(number / {CHUNK}) * %(chunk)s, CASE WHEN number %% 200 = 0 THEN 'failed' "
                "ELSE 'ok' END, '', '', 31, %(slot)s, true, true, 7, 0, 3, 0, 1200000000, "
                "50000000000, 900000000, 8000000000, 0.12, false FROM "
                "(SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM towns_town) t "
                "ORDER BY number",
                {"slot": day + slot * PERIOD, "chunk": PER_CHUNK},
            )
        cursor.execute("RESET session_replication_role")
    meter.run(*made, f"VACUUM ANALYZE {part}", "CHECKPOINT")


def _ways(part: str) -> list[tuple[str, Sequence[str], Sequence[str]]]:
    """What is changed, and how it is changed back."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE conrelid = %s::regclass AND contype = 'f'",
            [TABLE],
        )
        [(key, rule)] = cursor.fetchall()
    no_slot = f"DROP INDEX {part}_slot"
    by_town = "CREATE INDEX checks_of_a_town ON towns_healthcheck (town_id, checked_at DESC)"
    by_slot = f"CREATE UNIQUE INDEX {part}_slot ON {part} (%s) WHERE slot IS NOT NULL"
    today = meter.one(f"SELECT indexdef FROM pg_indexes WHERE indexname = '{part}_slot'")
    return [
        ("as it is", [], []),
        ("BRIN by time", ["DROP INDEX checks_by_time", BRIN], []),
        ("no index by time", ["DROP INDEX checks_by_time"], [BTREE]),
        ("no index by town", ["DROP INDEX checks_of_a_town"], [by_town]),
        ("slot's index: town, slot", [no_slot, by_slot % "town_id, slot"], [no_slot, today]),
        ("slot's index: slot, town", [no_slot, by_slot % "slot, town_id"], [no_slot, today]),
        ("no index by slot", [no_slot], [today]),
        (
            "no foreign key",
            [f"ALTER TABLE {TABLE} DROP CONSTRAINT {key}"],
            [f"ALTER TABLE {TABLE} ADD CONSTRAINT {key} {rule}"],
        ),
        ("as it is, again", [], []),
        ("log compressed (lz4)", ["SET wal_compression = lz4"], ["RESET wal_compression"]),
    ]


class _Place:
    """Where the next sweep goes."""

    def __init__(self, ids: list[Any], day: datetime, slot: int) -> None:
        self.ids, self.day, self.slot = ids, day, slot

    def sweeps(self, count: int) -> str:
        """What one costs, of some that follow a checkpoint, and what is logged of each: the first
        that touches a page after a checkpoint logs the whole page."""
        meter.run("CHECKPOINT")
        costs = [meter.cost_of(self._sweep) for _ in range(count)]
        logged = ", ".join(f"{cost.wal / 1e6:.0f}" for cost in costs)
        return f"{sum(costs, Cost()) / count} ({logged})"

    def _sweep(self) -> None:
        from django.db import connection, transaction

        slot = self.day + self.slot * PERIOD
        self.slot += 1
        figures = (31, slot, True, True, 7, 0, 3, 0, 12 * 10**8, 5 * 10**10, 9 * 10**8)
        for first in range(0, len(self.ids), CHUNK):
            now = slot + first // CHUNK * PER_CHUNK
            rest = (slot, now, "ok", "", "", *figures, 8 * 10**9, 0.12, False)
            with (
                transaction.atomic(),
                connection.cursor() as cursor,
                cursor.copy(f"COPY {TABLE} ({CHECK_COLUMNS}) FROM STDIN") as copy,
            ):
                for pk in self.ids[first : first + CHUNK]:
                    copy.write_row((pk, *rest))


def _read(day: datetime, ids: list[Any]) -> None:
    """What filters or sorts by time, with the plan's first line that reads."""
    span = f"checked_at >= '{day}' AND checked_at < '{day + timedelta(days=1)}'"
    hour = f"checked_at >= '{day + timedelta(hours=2)}'"
    some = ", ".join(f"'{pk}'" for pk in ids[len(ids) // 2 :][:100])
    one_town = f"town_id = '{ids[len(ids) // 3]}' AND {span}"
    for name, sql in (
        (
            "the day's list",
            f"* FROM {TABLE} WHERE {span} ORDER BY checked_at DESC, id DESC LIMIT 101",
        ),
        ("the newest of all", f"max(checked_at) FROM {TABLE}"),
        ("the first of an hour", f"min(checked_at) FROM {TABLE} WHERE {hour}"),
        (
            "an hour's count",
            f"count(*) FROM {TABLE} WHERE {hour} AND checked_at < '{day + timedelta(hours=3)}'",
        ),
        (
            "a town's day",
            f"* FROM {TABLE} WHERE {one_town} ORDER BY checked_at DESC LIMIT 480",
        ),
        (
            "100 towns replayed",
            f"* FROM {TABLE} WHERE town_id IN ({some}) AND {span} ORDER BY town_id, checked_at, id",
        ),
    ):
        costs = [meter.cost_of(lambda sql=sql: meter.run(f"SELECT {sql}")) for _ in range(3)]
        print(f"  {name:22}{1000 * min(one.wall for one in costs):12.1f} ms", flush=True)


def _upkeep(part: str, day: datetime) -> None:
    from towns.models import HealthHour
    from towns.upkeep import hours, partitions, prune

    print("Upkeep: wall, CPU of the backend, log")
    made = [meter.cost_of(lambda n=n: hours.make_hour(day + n * hours.HOUR)) for n in range(3)]
    for cost in made:
        print(f"  an hour's figures made        {cost}")
    again = meter.cost_of(lambda: hours.make_hour(day))
    print(f"  the same again                {again}")
    until = day + partitions.DAY
    looked = meter.cost_of(lambda: list(hours.counted(until, since=day)))
    print(f"  a day's hours counted         {looked}")
    print(f"  an hour looked through        {meter.cost_of(lambda: hours.is_missing(day))}")
    figures = HealthHour.objects.order_by("hour")
    removed = meter.cost_of(lambda: prune._remove(figures, lambda: False))
    print(f"  3 hours' figures removed      {removed}")
    [found] = [one for one in partitions.partitions() if one.name == part]
    print(f"  the partition dropped         {meter.cost_of(lambda: partitions.drop(found))}")


def _size(name: str) -> str:
    size = meter.one(f"SELECT pg_relation_size('{name}')")
    return f"{size / 1e6:,.0f} MB"


def _index_sizes(part: str) -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.relname, pg_relation_size(i.oid) FROM pg_index x "
            "JOIN pg_class i ON i.oid = indexrelid WHERE indrelid = %s::regclass ORDER BY 1",
            [part],
        )
        return ", ".join(f"{n.removeprefix(part)} {size / 1e6:,.0f} MB" for n, size in cursor)


def _index_size(part: str, ending: str) -> float:
    return round(meter.one(f"SELECT pg_relation_size('{part}_{ending}')") / 1e6, 1)


if __name__ == "__main__":
    sys.exit(main())
