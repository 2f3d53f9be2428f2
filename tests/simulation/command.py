"""The command line of the simulation: seeds in, figures out, or the shortest failing history."""

import argparse
import functools
import gc
import os
import secrets
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from .fleet import Fleet


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one seed; `broken` names the invariant and tells what happened."""

    seed: int
    town_days: float
    events: int
    broken: str = ""


def options() -> argparse.ArgumentParser:
    """What may be asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds (default 200)")
    parser.add_argument("--first", type=int, help="the first seed (default: a fresh one)")
    parser.add_argument("--towns", type=int, default=8, help="towns to begin with (default 8)")
    parser.add_argument("--hours", type=float, default=4, help="virtual hours (default 4)")
    parser.add_argument("--busy", type=float, default=1, help="events per town and hour, about")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--seconds", type=float, help="stop after so long, whatever the seeds")
    parser.add_argument("--only", help="replay just these events of the first seed: 3,8,12")
    parser.add_argument("--keep-going", action="store_true", help="don't stop at the first failure")
    parser.add_argument("--no-shrink", action="store_true", help="tell a failure as it is")
    return parser


def main() -> int:
    """Run it; exit code 1 if an invariant was broken."""
    args = options().parse_args()
    first = secrets.randbelow(10**9) if args.first is None else args.first
    if args.only is not None:
        return _replay(first, args)
    print(f"seeds {first} to {first + args.seeds - 1}: {args.towns} towns, {args.hours:g} h each")
    began = time.monotonic()
    done, days, events, broken = 0, 0.0, 0, []
    with suppress(KeyboardInterrupt):  # a soak that is ended by hand tells its figures too
        for result in _results(first, args):
            done, days, events = done + 1, days + result.town_days, events + result.events
            if result.broken:
                broken.append(result.seed)
                print(f"seed {result.seed}: {result.broken}", flush=True)
                if not args.keep_going:
                    break
            if args.seconds and time.monotonic() - began > args.seconds:
                break
            if sys.stderr.isatty():
                print(f"\r{done} seeds, {days:.0f} town-days", end="", file=sys.stderr)
    took = time.monotonic() - began
    verdict = f"{len(broken)} seeds broke an invariant" if broken else "no violation"
    print(
        f"{done} seeds, {days:.0f} simulated town-days, {events} events in {took:.0f} s "
        f"({took / max(days, 0.001):.2f} s a town-day): {verdict}"
    )
    if broken and not args.no_shrink:
        _tell_shortest(broken[0], args)
    return 1 if broken else 0


def _results(first: int, args: argparse.Namespace) -> Iterator[Result]:
    seeds = range(first, first + args.seeds)
    if args.jobs == 1:
        prepare()
        yield from (_run(seed, args.towns, args.hours, args.busy) for seed in seeds)
        return
    with ProcessPoolExecutor(args.jobs, initializer=prepare) as pool:
        # A few ahead of the one that is waited for: a soak has a million seeds.
        waiting: deque[Future[Result]] = deque()
        try:
            for seed in seeds:
                waiting.append(pool.submit(_run, seed, args.towns, args.hours, args.busy))
                if len(waiting) > 4 * args.jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@functools.cache
def prepare() -> None:
    """A database in memory for this process, with its tables made."""
    os.environ["DATABASE_URL"] = "sqlite:///:memory:"
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    settings.DATABASES["default"]["TEST"] = {"NAME": None}
    settings.DEBUG = False  # or each statement is kept, and told twice to the database
    settings.LOGGING_CONFIG = None
    import logging

    logging.getLogger().setLevel(logging.CRITICAL)
    logging.getLogger("towns").setLevel(logging.ERROR)
    logging.getLogger("towns").propagate = False
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    connection.settings_dict["NAME"] = ":memory:"
    call_command("migrate", verbosity=0)
    gc.set_threshold(50_000, 20, 100)


def _run(seed: int, towns: int, hours: float, busy: float) -> Result:
    from .plan import make_plan

    plan = make_plan(seed, towns=towns, hours=hours, busy=busy)
    violation = _fleet(towns).outcome(plan)
    return Result(seed, plan.town_days, len(plan.events), str(violation or ""))


@functools.cache
def _fleet(towns: int) -> "Fleet":
    """It is there as long as this process."""
    from .fleet import Fleet

    fleet = Fleet(towns).__enter__()
    gc.collect()
    gc.freeze()
    return fleet


def _tell_shortest(seed: int, args: argparse.Namespace) -> None:
    prepare()
    from .plan import make_plan
    from .shrink import shortest_history

    plan = make_plan(seed, towns=args.towns, hours=args.hours, busy=args.busy)
    fleet = _fleet(args.towns)
    violation = fleet.outcome(plan)
    if violation is None:
        print(f"seed {seed} does not fail here: what differs?")
        return
    print(shortest_history(plan, violation, fleet.outcome))


def _replay(seed: int, args: argparse.Namespace) -> int:
    prepare()
    from .plan import make_plan

    plan = make_plan(seed, towns=args.towns, hours=args.hours, busy=args.busy)
    numbers = [int(number) for number in args.only.split(",") if number.strip()]
    violation = _fleet(args.towns).outcome(plan.only(numbers))
    print(violation or "no violation")
    return 1 if violation else 0
