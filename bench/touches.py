"""`python -m bench.touches [--rate N] [--seconds S] [--few]`: what signs of use cost.

It makes a database of its own on the PostgreSQL server of GASTOWN_TEST_POSTGRESQL and drops it
again. Random towns are touched from 16 connections, those of 4 processes of 4 threads: out of few,
where nearly each touch finds the last one fresh, and out of many, where every other one has to be
written. Then one server is used: messages through WebSockets, and calls of the API. `cores` are
those that 5,000 a second would keep busy, but for PostgreSQL's behind the server.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta

from bench.database import NoServer, own_database
from bench.touching import CONNECTIONS, HOW, Told, touch_all
from bench.touching_live import Used, call, send_messages, serving

NAME = "gastown_bench_touches"
FEW, MANY = 1_000, 100_000
WANTED = 5_000
"""Touches a second, for which the cores are told that they take."""


def main() -> int:
    """The exit code: 1 if a town cost more than its one write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--rate", type=float, default=WANTED, help="touches a second; 0: all it can"
    )
    parser.add_argument("--seconds", type=float, default=35, help="of each run")
    parser.add_argument("--few", action="store_true", help="leave out those of many towns")
    wanted = parser.parse_args()
    fleets = (FEW,) if wanted.few else (MANY, FEW)
    try:
        with own_database(NAME):
            return _run(fleets, wanted.rate, wanted.seconds)
    except NoServer as error:
        print(f"Interaction touches are left out. {error}")
    return 0


def _run(fleets: Sequence[int], rate: float, seconds: float) -> int:
    paced = f"{rate:,.0f} a second wanted" if rate else "as many as can be"
    print(f"Interaction touches from {CONNECTIONS} connections, {paced}, PostgreSQL")
    print(
        f"  {'':29}{'reached':>9}{'statements':>12}{'CPU ms':>8}{'of server':>11}"
        f"{'p50 ms':>8}{'p99 ms':>8}{'writes/s':>10}{'per town':>10}{'cores':>7}"
    )
    most = 0
    for towns in fleets:
        _fill(towns)
        for how in HOW:
            most = max(most, _measure(how, towns, rate, seconds))
    _live(rate or WANTED, seconds)
    return 0 if most <= 1 else 1


def _live(rate: float, seconds: float) -> None:
    """Through one server: messages to 16 of the towns, and calls of the API for all."""
    from django.utils import timezone

    from towns.history import Actor
    from towns.models import Town
    from towns.scopes import Scope
    from towns.tokens import create_token

    scopes, now = [Scope.READ, Scope.WRITE], timezone.now()
    made = create_token("bench", scopes, actor=Actor.shell(), now=now, owner="bench")
    towns = list(Town.objects.values_list("pk", flat=True))
    few = towns[:CONNECTIONS]
    print(
        f"  {'through one process of uvicorn':32}{'reached':>9}{'CPU ms':>8}"
        f"{'writes':>8}{'cores':>7}"
    )
    with serving() as server:
        before = _updates()
        used = send_messages(server, made.secret, few, rate=rate, seconds=seconds)
        _tell(f"messages, {len(few)} WebSockets", used, _updates() - before)
        before = _updates()
        used = call(server, made.secret, towns, seconds=min(seconds, 10))
        _tell(f"calls of the API, {len(towns):,} towns", used, _updates() - before)


def _tell(what: str, used: Used, written: int) -> None:
    print(
        f"  {what:32}{used.count / used.seconds:9,.0f}{1000 * used.cpu / used.count:8.3f}"
        f"{written:8,d}{WANTED * used.cpu / used.count:7.2f}"
    )


def _measure(how: str, towns: int, rate: float, seconds: float) -> int:
    """Print one line; the most writes of a town in the coalescing time."""
    from django.conf import settings

    window = timedelta(seconds=settings.GASTOWN_INTERACTION_COALESCE_SECONDS)
    start = _settle(window, rate and towns / rate)
    before = _updates()
    told = touch_all(how, rate=rate, seconds=seconds, start=start)
    written = _updates() - before
    counted = sum(map(len, told.writes.values()))
    assert written == counted, f"the database wrote {written} rows, and we know of {counted}"
    print(f"  {f'{towns:,} towns, {how}':29}{_figures(told, window)}")
    return told.most_in(window)


def _figures(told: Told, window: timedelta) -> str:
    cuts = statistics.quantiles(told.latencies, n=100)
    written = sum(map(len, told.writes.values()))
    return (
        f"{told.touches / told.took:9,.0f}{told.statements / told.touches:12.3f}"
        f"{1000 * told.cpu / told.touches:8.3f}{1000 * told.server_cpu / told.touches:11.3f}"
        f"{1000 * cuts[49]:8.3f}{1000 * cuts[98]:8.3f}{written / told.took:10,.0f}"
        f"{told.most_in(window):10d}{WANTED * (told.cpu + told.server_cpu) / told.touches:7.2f}"
    )


def _fill(towns: int) -> None:
    """So many towns of one owner, made by one statement from a first one."""
    from django.db import connection

    from bench.sweep import make_towns
    from towns.models import Town

    Town.objects.all().delete()
    make_towns(1)
    own = {"id": "gen_random_uuid()", "name": "'town-' || n", "machine_id": "to_hex(n)"}
    columns = [column.column for column in Town._meta.concrete_fields]
    values = [own.get(column, column) for column in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO towns_town ({', '.join(columns)}) SELECT {', '.join(values)} "
            "FROM towns_town, generate_series(1, %s) AS n",
            [towns - 1],
        )


def _settle(window: timedelta, between: float) -> datetime:
    """Last touched as long ago as when this has gone on for long, counted from the moment that is
    returned; autovacuum has been there."""
    from django.db import connection
    from django.utils import timezone

    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE towns_town SET last_interaction_at = %s - random() * make_interval(secs => %s)",
            [now, window.total_seconds() + between],
        )
        cursor.execute("VACUUM (FULL, ANALYZE) towns_town")
        cursor.execute("CHECKPOINT")
    return now


def _updates() -> int:
    """How many rows of towns were updated so far."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        cursor.execute("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'towns_town'")
        updates: int = cursor.fetchone()[0]
    return updates


if __name__ == "__main__":
    sys.exit(main())
