"""`python -m bench.phases [--towns N] [--own] [--profile]`: where a health sweep's time goes, by
one process that runs it alone, on PostgreSQL.

Asking and parsing are the work of a thread of its own; choosing, judging and storing that of the
one that runs the sweep. `--profile` names the functions that cost most in each.
"""

import argparse
import cProfile
import pstats
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

from bench.database import NoServer, own_database
from bench.health import ONE, OWN, make_towns, url
from bench.processes import played

NAME = "gastown_bench_phases"
ROUNDS = 3
TOP = 15
PHASES = {
    "choose": ["towns.sweeps.chunks.claim", "towns.sweeps.running.due_in"],
    "judge": ["towns.sweeps.running.judged"],
    "decide and store": ["towns.sweeps.running.store"],
    "conclude": ["towns.sweeps.health.conclude"],
}
"""What the thread that runs a sweep does, by the functions that do it."""


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--towns", type=int, default=10_000)
    parser.add_argument("--own", action="store_true", help="each town has an address of its own")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    where = OWN if given.own else ONE
    try:
        with own_database(NAME), played() as (port, _):
            _set(GASTOWN_SANDBOX_URL=url(where, port), GASTOWN_HEALTH_PERIOD_SECONDS=1)
            make_towns(given.towns)
            print(f"{given.towns:,} towns at {where}, CPU ms per 1,000 of them")
            for number in range(ROUNDS):
                told = _swept(number)
                print("  ".join(f"{n} {1e6 * s / given.towns:.1f}" for n, s in told.items()))
            if given.profile:
                _profiled(ROUNDS)
    except NoServer as error:
        print(error)
        return 1
    return 0


def _set(**values: Any) -> None:
    from django.conf import settings

    for name, value in values.items():
        setattr(settings, name, value)


def _sweep(number: int) -> None:
    from towns.services import default_services
    from towns.sweeps.health import sweep_fleet

    slot = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    sweep_fleet(slot, default_services())


def _swept(number: int) -> dict[str, float]:
    """CPU seconds of each phase, and all of them."""
    spent = dict.fromkeys(PHASES, 0.0)
    with ExitStack() as stack:
        for phase, names in PHASES.items():
            for name in names:
                stack.enter_context(_clocked(name, phase, spent))
        whole, mine = time.process_time(), time.thread_time()
        _sweep(number)
        whole, mine = time.process_time() - whole, time.thread_time() - mine
    others = mine - sum(spent.values())
    return {"probe": whole - mine, **spent, "others": others, "all": whole}


@contextmanager
def _clocked(name: str, phase: str, spent: dict[str, float]) -> Iterator[None]:
    place, _, attribute = name.rpartition(".")
    inner: Callable[..., Any] = getattr(__import__(place, fromlist=[attribute]), attribute)

    def outer(*args: Any, **named: Any) -> Any:
        began = time.thread_time()
        try:
            return inner(*args, **named)
        finally:
            spent[phase] += time.thread_time() - began

    with mock.patch(name, outer):
        yield


def _profiled(number: int) -> None:
    """Both threads, each by a profiler of its own."""
    from towns.services.sandbox_fleet import FleetProbing

    run = FleetProbing._run
    probing, storing = (cProfile.Profile(time.thread_time) for _ in range(2))

    def profiled(self: FleetProbing, share: bool) -> None:
        probing.runcall(run, self, share)

    with mock.patch.object(FleetProbing, "_run", profiled):
        storing.runcall(_sweep, number)
    for title, profile in (("probing", probing), ("running the sweep", storing)):
        print(f"\n{title}")
        pstats.Stats(profile).sort_stats("tottime").print_stats(TOP)


if __name__ == "__main__":
    sys.exit(main())
