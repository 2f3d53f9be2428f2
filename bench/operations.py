"""`python -m bench.operations [--towns N] [--drivers N] [--boots SECONDS]`: thousands of starts at
once on PostgreSQL, driven by `run_operations` processes as they are deployed, with the real clients
of a played Fly and played sandboxes.

It makes a database of its own on the server of GASTOWN_TEST_POSTGRESQL and drops it again.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.database import SERVER, NoServer, own_database
from bench.health import make_towns
from bench.processes import played, tree_cpu

NAME = "gastown_bench_operations"
LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 400


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--towns", type=int, default=10_000)
    parser.add_argument("--drivers", type=int, default=2)
    parser.add_argument("--boots", type=float, default=60.0, help="seconds a machine boots for")
    given = parser.parse_args()
    try:
        with own_database(NAME):
            _run(given.towns, given.drivers, given.boots)
    except NoServer as error:
        print(error)
        return 1
    return 0


def _run(towns: int, drivers: int, boots: float) -> None:
    from django.db import connection

    from towns.models import Operation, Town

    make_towns(towns, status="stopped")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE towns_town SET machine_id = md5(id::text)")
    began = time.monotonic()
    _ask()
    print(
        f"{towns:,} starts asked for in {time.monotonic() - began:.1f} s, machines boot {boots:g} s"
    )
    with ExitStack() as stack:
        sandboxes, _ = stack.enter_context(played())
        fly = stack.enter_context(_fly(boots))
        began = time.monotonic()
        pids = [stack.enter_context(_driver(fly, sandboxes)) for _ in range(drivers)]
        late = _watch()
        took, cpu = time.monotonic() - began, sum(map(tree_cpu, pids))
    claims = sum(Operation.objects.values_list("lease_number", flat=True))
    done = sum(len(log) for log in Operation.objects.values_list("log", flat=True))
    running = Town.objects.filter(status="running").count()
    steps = claims + done - towns  # the last claim of each ends with a step that is done
    first, after = late[: len(late) // 3], late[len(late) // 3 :]
    print(f"  {drivers} drivers, all driven in {took:.0f} s ({running:,} run)")
    print(f"  steps: {steps:,} in {claims:,} claims, {1000 * cpu / steps:.2f} ms of CPU each")
    print(f"  the latest that was due: {max(first):.1f} s in the first third of the time")
    print(f"                           {max(after):.1f} s after it")


def _ask() -> None:
    """As a bulk run does: an operation each."""
    from django.utils import timezone

    from towns import actions
    from towns.history import Actor
    from towns.models import Town

    for pk in Town.objects.values_list("pk", flat=True):
        actions.request_start(pk, actor=Actor.shell(), now=timezone.now())


def _watch() -> list[float]:
    """Until all is driven: by how many seconds the operation is late that waits for the longest."""
    from django.utils import timezone

    from towns.flows.driver import due_operations
    from towns.models import Operation

    late, until = [0.0], time.monotonic() + PATIENCE_SECONDS
    while Operation.objects.filter(state="open").exists():
        if time.monotonic() > until:
            found = Operation.objects.filter(state="open").first()
            told = f": {found.step}, {found.message}" if found else ""
            print(f"  not all was driven after {PATIENCE_SECONDS} s{told}")
            break
        now = timezone.now()
        oldest = due_operations(now).order_by("due_at").values_list("due_at", flat=True).first()
        late.append((now - oldest).total_seconds() if oldest else 0.0)
        time.sleep(LOOK_SECONDS)
    return late


@contextmanager
def _fly(boots: float) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.played_fly", str(boots)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


@contextmanager
def _driver(fly: int, sandboxes: int) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "run_operations"],
        env={
            **os.environ,
            "DATABASE_URL": f"{SERVER}/{NAME}",
            "GASTOWN_FLY_API_URL": f"http://127.0.0.1:{fly}/v1",
            "GASTOWN_FLY_API_TOKEN": "bench",
            "GASTOWN_FLY_APP_NAME": "towns",
            "GASTOWN_SANDBOX_URL": f"http://127.0.0.1:{sandboxes}/{{town_id}}",
            "GASTOWN_INTERNAL_API_SECRET": "bench",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
