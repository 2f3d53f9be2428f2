"""`python -m bench.health [--towns N …] [--database sqlite] [--write]`: health sweeps of large
fleets by a worker cluster as it is deployed, side by side with bare loops and well-known checkers.

It makes a database of its own on the server of GASTOWN_TEST_POSTGRESQL and drops it again; the
fleet is played by a process of its own. `--write` measures on SQLite too and puts the figures into
docs/bench-sweep.md.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench import checkers, promises, report
from bench.cluster import cluster, sweep
from bench.database import SERVER, NoServer, own_database, own_file
from bench.health_line import PER, Line
from bench.processes import cpu_seconds, played

NAME = "gastown_bench_health"
BARE_TOWNS = 10_000
WARM_ROUNDS = 8
"""Sweeps by which each of four workers has had its turn, most of the time."""
PERIOD_SECONDS = 180
"""As it is unless it is set."""
SIZES = {"postgresql": [1000, 10_000, 100_000], "sqlite": [1000, 10_000]}
OWN, ONE = "own addresses", "one address"
_TEMPLATES = {
    OWN: "http://{{machine_id}}:{port}/{{town_id}}",
    ONE: "http://127.0.0.1:{port}/{{town_id}}",
}
_WITH_PORT = "http://{machine_id}/{town_id}"


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--towns", type=int, nargs="+", help="1000 10000 100000 if not given")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--database", choices=SIZES, default="postgresql")
    parser.add_argument("--no-checkers", action="store_true", help="leave HAProxy and its like out")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each")
    parser.add_argument("--write", action="store_true", help="write docs/bench-sweep.md")
    given = parser.parse_args()
    sizes, lines = given.towns or SIZES[given.database], []
    measured = _on_sqlite if given.database == "sqlite" else _on_postgresql
    try:
        for line in measured(sizes, given.rounds, given.write, not given.no_checkers):
            told = json.dumps(dataclasses.asdict(line)) if given.json else report.as_text(line)
            print(told, flush=True)
            lines.append(line)
    except NoServer as error:
        print(error)
        return 1
    if not given.json:
        print("\n".join(map(str, promises.of(lines))))
    if given.write:
        report.write(lines)
    return 0


def _on_postgresql(sizes: list[int], rounds: int, both: bool, others: bool) -> Iterator[Line]:
    with own_database(NAME):
        yield from _measured(sizes, rounds)
        if max(sizes) >= promises.LARGE:
            yield from _warm()
    if both:
        told = subprocess.run(
            [sys.executable, "-m", "bench.health", "--database", "sqlite", "--json"],
            check=True,
            capture_output=True,
            text=True,
        )
        yield from (Line(**json.loads(line)) for line in told.stdout.splitlines())
    if others:
        yield from checkers.measured()


def _on_sqlite(sizes: list[int], rounds: int, *_others: bool) -> Iterator[Line]:
    number = 0
    with own_file():
        for towns in sizes:
            make_towns(towns)
            with played() as (port, fleet), _ours(url(OWN, port)) as pid:
                for _ in range(rounds):
                    number += 1
                    yield _swept("sweep, SQLite", OWN, pid, fleet, number)


def _measured(sizes: list[int], rounds: int) -> Iterator[Line]:
    number = 0
    for towns in sizes:
        make_towns(towns)
        for where in (OWN, ONE):
            with played() as (port, fleet), _ours(url(where, port)) as pid:
                for _ in range(rounds):
                    number += 1
                    if towns == BARE_TOWNS:
                        yield from _bare(where, port, fleet)
                    yield _swept("sweep", where, pid, fleet, number)
        if towns >= BARE_TOWNS:
            with played() as (port, fleet), _ours(url(OWN, port), PERIOD_SECONDS) as pid:
                for _ in range(rounds + 1):  # by then each worker has had its turn
                    number += 1
                    yield _swept(promises.SPREAD, OWN, pid, fleet, number)
        if towns == max(sizes):
            with (
                played(hang=1) as (port, fleet),
                _refusing(port),
                _ours(_WITH_PORT, PERIOD_SECONDS) as pid,
            ):
                for _ in range(rounds):
                    number += 1
                    yield _swept(promises.SPREAD_TROUBLE, OWN, pid, fleet, number)
        if towns >= BARE_TOWNS:
            with played(hang=1) as (port, fleet), _refusing(port), _ours(_WITH_PORT) as pid:
                for _ in range(rounds):
                    number += 1
                    yield _swept("sweep, 1 % hang and 1 % refuse", OWN, pid, fleet, number)


def _warm() -> Iterator[Line]:
    """What workers hold once each has had its turn, which the first sweeps don't show: one cluster
    whose fleet grows."""
    number = 0
    with played() as (port, fleet), _ours(url(OWN, port)) as pid:
        for towns, rounds in ((promises.MIDDLE, WARM_ROUNDS), (promises.LARGE, 2)):
            make_towns(towns)
            for _ in range(rounds):
                number += 1
                line = _swept(promises.WARM, OWN, pid, fleet, number)
            yield line


@contextmanager
def _refusing(port: int) -> Iterator[None]:
    """Machines' ids are their addresses with a port, where for one in a hundred nobody listens."""
    _change_machines(
        "machine_id || CASE WHEN get_byte(uuid_send(id), 15) %% 100 = 0 THEN ':1' ELSE %s END",
        [f":{port}"],
    )
    try:
        yield
    finally:
        _change_machines("split_part(machine_id, ':', 1)", [])


def _change_machines(to: str, values: list[str]) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE towns_town SET machine_id = {to}", values)
        cursor.execute("VACUUM ANALYZE towns_town")


def url(where: str, port: int) -> str:
    """The setting that says where sandboxes answer."""
    return _TEMPLATES[where].format(port=port)


@contextmanager
def _ours(sandbox_url: str, period: int = 1) -> Iterator[int]:
    """A cluster; with a period of a second a sweep is not spread, but as fast as it can be."""
    environment = {
        "GASTOWN_SANDBOX_URL": sandbox_url,
        "GASTOWN_INTERNAL_API_SECRET": "bench",
        "GASTOWN_FLY_APP_NAME": "towns",
        "GASTOWN_HEALTH_PERIOD_SECONDS": str(period),
        "GASTOWN_WORKERS": "4",
        # Failures stay failures, and nothing is restarted at a Fly that is not there.
        "GASTOWN_FAILURES_BEFORE_RESTART": "1000",
    }
    with cluster(environment) as pid:
        yield pid


def _swept(what: str, where: str, pid: int, fleet: int, number: int) -> Line:
    cpu = cpu_seconds(fleet)
    found = sweep(pid, NAME, number)
    assert found.results.get("ok", 0) >= 0.9 * found.towns, found.results
    share = PER / found.towns
    return Line(
        what,
        found.towns,
        where,
        found.wall * share,
        found.cpu * share,
        None if "SQLite" in what else found.database_cpu * share,
        found.memory_mb,
        found.rss_mb,
        found.wall,
        (cpu_seconds(fleet) - cpu) * share,
    )


def _bare(where: str, port: int, fleet: int) -> Iterator[Line]:
    for name, what in (
        ("aiohttp", f"{promises.BARE} bare aiohttp loop and COPY"),
        ("requests", f"{promises.ORM} requests in threads, bulk_create, bulk_update"),
    ):
        cpu = cpu_seconds(fleet)
        told = subprocess.run(
            [sys.executable, "-m", "bench.bare", name, url(where, port)],
            env={**os.environ, "DATABASE_URL": f"{SERVER}/{NAME}"},
            check=True,
            capture_output=True,
            text=True,
        )
        found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
        of_fleet = cpu_seconds(fleet) - cpu
        told_of: dict[str, list[str]] = {"": ["fetch", "store"]}
        if "update" in found:
            told_of[", and an UPDATE"] = ["fetch", "store", "update"]
        for more, parts in told_of.items():
            yield Line(
                what + more,
                BARE_TOWNS,
                where,
                sum(found[part]["wall"] for part in parts),
                sum(found[part]["cpu"] for part in parts),
                sum(found[part].get("backend", 0.0) for part in parts),
                found["memory_mb"],
                fleet_cpu=of_fleet,
                fetch_cpu=found["fetch"]["cpu"],
            )


def make_towns(towns: int, status: str = "running") -> None:
    """That many towns of a status and no others, each with an address of its own in 127.0.0.0/8."""
    from django.contrib.auth.models import User
    from django.db import connection

    owner, _ = User.objects.get_or_create(username="bench")
    if connection.vendor == "sqlite":
        _make_by_orm(owner, towns)
        return
    with connection.cursor() as cursor:
        for table in ("towns_healthcheck", "towns_sweepchunk", "towns_sweep", "towns_town"):
            cursor.execute(f"TRUNCATE {table} CASCADE")
        cursor.execute("ALTER TABLE towns_town DISABLE TRIGGER USER")
        cursor.execute(
            _TOWNS,
            [owner.pk, status, status, towns],
        )
        cursor.execute("ALTER TABLE towns_town ENABLE TRIGGER USER")
        cursor.execute("VACUUM ANALYZE towns_town")


def _make_by_orm(owner: Any, towns: int) -> None:
    from django.utils import timezone

    from towns.models import HealthCheck, Sweep, Town

    for model in (HealthCheck, Sweep, Town):
        model.objects.all().delete()
    now = timezone.now()
    Town.objects.bulk_create(
        Town(
            owner=owner,
            name=f"town-{n}",
            region=("iad", "ams", "fra", "syd")[n % 4],
            image="registry.example/town:1",
            status="running",
            status_since=now,
            created_at=now,
            first_ran_at=now,
            machine_id=f"127.1.{n // 250}.{1 + n % 250}",
            volume_id=f"vol_{n}",
        )
        for n in range(towns)
    )


_TOWNS = """
INSERT INTO towns_town (id, owner_id, name, region, image, created_at, status, status_reason,
  status_since, desired_state, stop_reason, machine_id, volume_id, generation, key_version,
  first_ran_at, last_result, health, consecutive_failures, failure_kind, failure_reason, flap_count,
  last_interaction_kind, idle_timeout_minutes, auto_stop, hold_reason, idle_sync_failures,
  last_snapshot)
SELECT gen_random_uuid(), %s, 'town-' || n, (ARRAY['iad', 'ams', 'fra', 'syd'])[1 + n %% 4],
  'registry.example/town:1', now(), %s, '', now(), %s, '',
  '127.' || 1 + n / 62500 || '.' || n %% 62500 / 250 || '.' || 1 + n %% 250, 'vol_' || n, 1, 1,
  now(), '', '{}', 0, '', '', 0, '', 30, true, '', 0, ''
FROM generate_series(1, %s) AS n
"""


if __name__ == "__main__":
    sys.exit(main())
