"""`python -m bench.health [--towns N …] [--write]`: health sweeps of large fleets on PostgreSQL, by
a worker cluster as it is deployed, side by side with bare loops and with well-known checkers.

It makes a database of its own on the server of GASTOWN_TEST_POSTGRESQL and drops it again; the
fleet is played by a process of its own. `--write` puts the figures into docs/bench.md.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench import checkers, report
from bench.cluster import Swept, cluster, sweep
from bench.database import SERVER, NoServer, own_database
from bench.health_line import PER, Line
from bench.processes import played

NAME = "gastown_bench_health"
BARE_TOWNS = 10_000
OWN, ONE = "own addresses", "one address"
_TEMPLATES = {
    OWN: "http://{{machine_id}}:{port}/{{town_id}}",
    ONE: "http://127.0.0.1:{port}/{{town_id}}",
}


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--towns", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write docs/bench.md")
    given = parser.parse_args()
    lines: list[Line] = []
    try:
        with own_database(NAME):
            for line in _measured(given.towns, given.rounds):
                print(report.as_text(line), flush=True)
                lines.append(line)
    except NoServer as error:
        print(error)
        return 1
    print(report.ratios(lines))
    if given.write:
        report.write(lines)
    return 0


def _measured(sizes: list[int], rounds: int) -> Iterator[Line]:
    number = 0
    for towns in sizes:
        _make(towns)
        for where in (OWN, ONE):
            if towns == BARE_TOWNS:
                yield from _bare(where)
            with played() as (port, _), _ours(where, port) as pid:
                for _ in range(rounds):
                    number += 1
                    yield _line("sweep", where, sweep(pid, NAME, number))
        if towns == max(sizes):
            with played(hang=1, refuse=1) as (port, _), _ours(OWN, port) as pid:
                for _ in range(rounds):
                    number += 1
                    yield _line("sweep, 1 % hang and 1 % refuse", OWN, sweep(pid, NAME, number))
    yield from checkers.measured()


@contextmanager
def _ours(where: str, port: int) -> Iterator[int]:
    environment = {
        "GASTOWN_SANDBOX_URL": _TEMPLATES[where].format(port=port),
        "GASTOWN_INTERNAL_API_SECRET": "bench",
        "GASTOWN_FLY_APP_NAME": "towns",
        "GASTOWN_HEALTH_PERIOD_SECONDS": "1",  # a sweep is not spread, but as fast as it can be
        "GASTOWN_WORKERS": "4",
        # Failures stay failures, and nothing is restarted at a Fly that is not there.
        "GASTOWN_FAILURES_BEFORE_RESTART": "1000",
    }
    with cluster(environment) as pid:
        yield pid


def _line(what: str, where: str, swept: Swept) -> Line:
    assert swept.results.get("ok", 0) >= 0.9 * swept.towns, swept.results
    share = PER / swept.towns
    return Line(
        what,
        swept.towns,
        where,
        swept.wall * share,
        swept.cpu * share,
        swept.database_cpu * share,
        swept.memory_mb,
        swept.wall,
    )


def _bare(where: str) -> Iterator[Line]:
    for name, what in (
        ("aiohttp", "(a) bare aiohttp loop and COPY"),
        ("requests", "(b) requests in threads, bulk_create, bulk_update"),
    ):
        with played() as (port, _):
            told = subprocess.run(
                [sys.executable, "-m", "bench.bare", name, _TEMPLATES[where].format(port=port)],
                env={**os.environ, "DATABASE_URL": f"{SERVER}/{NAME}"},
                check=True,
                capture_output=True,
                text=True,
            )
        found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
        yield Line(
            what,
            BARE_TOWNS,
            where,
            found["fetch"]["wall"] + found["store"]["wall"],
            found["fetch"]["cpu"] + found["store"]["cpu"],
            memory_mb=found["memory_mb"],
        )


def _make(towns: int) -> None:
    """That many towns that run, each with an address of its own in 127.0.0.0/8."""
    from django.contrib.auth.models import User
    from django.db import connection

    owner, _ = User.objects.get_or_create(username="bench")
    with connection.cursor() as cursor:
        for table in ("towns_healthcheck", "towns_sweepchunk", "towns_sweep", "towns_town"):
            cursor.execute(f"TRUNCATE {table} CASCADE")
        cursor.execute("ALTER TABLE towns_town DISABLE TRIGGER USER")
        cursor.execute(
            _TOWNS,
            [owner.pk, towns],
        )
        cursor.execute("ALTER TABLE towns_town ENABLE TRIGGER USER")
        cursor.execute("VACUUM ANALYZE towns_town")


_TOWNS = """
INSERT INTO towns_town (id, owner_id, name, region, image, created_at, status, status_reason,
  status_since, desired_state, stop_reason, machine_id, volume_id, generation, key_version,
  first_ran_at, last_result, health, consecutive_failures, failure_kind, failure_reason, flap_count,
  last_interaction_kind, idle_timeout_minutes, auto_stop, hold_reason, idle_sync_failures,
  last_snapshot)
SELECT gen_random_uuid(), %s, 'town-' || n, (ARRAY['iad', 'ams', 'fra', 'syd'])[1 + n %% 4],
  'registry.example/town:1', now(), 'running', '', now(), 'running', '',
  '127.' || 1 + n / 62500 || '.' || n %% 62500 / 250 || '.' || 1 + n %% 250, 'vol_' || n, 1, 1,
  now(), '', '{}', 0, '', '', 0, '', 30, true, '', 0, ''
FROM generate_series(1, %s) AS n
"""


if __name__ == "__main__":
    sys.exit(main())
