"""`sweep_health` over many towns, side by side with a bare loop that only fetches and parses."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from bench.processes import played
from towns import addresses
from towns.models import Sweep, Town
from towns.services import default_services
from towns.sweeps.health import sweep_fleet
from towns.words import Status

ROUNDS = 3


def run(*, towns: int, pause: float) -> None:
    """Print seconds and the ratio, the best of some rounds that alternate."""
    with played(pause=pause) as (port, _):
        settings.GASTOWN_SANDBOX_URL = f"http://127.0.0.1:{port}/{{town_id}}"
        make_towns(towns)
        bare, swept, statements = [], [], 0
        for number in range(ROUNDS):
            bare.append(timed(lambda: fetch_and_parse(list(Town.objects.all()))))
            slot = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=3 * number)
            with counted() as count:
                swept.append(timed(lambda slot=slot: sweep_fleet(slot, default_services())))
            statements = count[0]
        chunks = Sweep.objects.latest("slot").chunks.count()
    ceiling = pause * towns / settings.GASTOWN_PROBE_CONCURRENCY
    print(f"sweep_health, {towns} towns that answer after {1000 * pause:.0f} ms, SQLite")
    print(
        f"  bare loop (requests, {settings.GASTOWN_PROBE_CONCURRENCY} threads): {min(bare):6.2f} s"
    )
    print(f"  sweep, stored:                     {min(swept):6.2f} s")
    print(f"  ratio:                             {min(swept) / min(bare):6.2f}")
    print(f"  the pauses alone:                  {ceiling:6.2f} s")
    print(f"  SQL statements: {statements} in {chunks} chunks")


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall time."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def fetch_and_parse(towns: list[Town]) -> None:
    """What is left when nothing is decided or stored."""

    def fetch(town: Town) -> Any:
        address = addresses.sandbox_address(town)
        answer = requests.get(
            f"{address.url}/health", headers={"x-internal-api-key": address.key}, timeout=5
        )
        return json.loads(answer.content)

    with ThreadPoolExecutor(settings.GASTOWN_PROBE_CONCURRENCY) as pool:
        found = list(pool.map(fetch, towns))
    assert len(found) == len(towns)


def make_towns(count: int, status: Status = Status.RUNNING) -> list[Town]:
    """That many towns of one owner."""
    now = datetime.now(UTC)
    owner, _ = User.objects.get_or_create(username="bench")
    first = Town.objects.count()
    return Town.objects.bulk_create(
        Town(
            owner=owner,
            name=f"town-{number}",
            region="iad",
            image="bench",
            status=status,
            status_since=now,
            created_at=now,
            machine_id=f"{number:014x}",
            volume_id=f"vol_{number}",
            first_ran_at=now,
        )
        for number in range(first, first + count)
    )


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count the SQL statements of this thread."""
    count = [0]

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        count[0] += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield count
