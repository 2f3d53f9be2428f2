"""A worker cluster as it is deployed, and health sweeps by it, for benchmarks."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.processes import Watch, tree_cpu

PATIENCE_SECONDS = 600
STARTED_CPU = 0.5
"""CPU seconds that no cluster starts in less than …"""
IDLE_CPU = 0.1
"""… and that one which waits for work needs less than in a second."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a health sweep cost: seconds, and MB of all processes of the cluster together."""

    towns: int
    wall: float
    cpu: float
    database_cpu: float
    memory_mb: float
    """What they share is counted once."""
    rss_mb: float
    """What they share is counted for each."""
    results: Mapping[str, int]


@contextmanager
def cluster(environment: Mapping[str, str], prefix: list[str] | None = None) -> Iterator[int]:
    """Run `manage.py qcluster`, by a command before it if there is one; yields its process id.

    Nothing is scheduled: what is measured is asked for.
    """
    from django_q.models import OrmQ, Schedule

    Schedule.objects.all().delete()
    OrmQ.objects.all().delete()
    process = subprocess.Popen(
        [*(prefix or []), sys.executable, "manage.py", "qcluster"],
        env={**os.environ, **environment},
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _settle(process.pid)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _settle(pid: int) -> None:
    """Wait until it has started: what that costs is not a sweep's."""
    until, before = time.monotonic() + PATIENCE_SECONDS, -1.0
    while (now := tree_cpu(pid)) - before > IDLE_CPU or now < STARTED_CPU:
        if time.monotonic() > until:
            raise SystemExit("The cluster has not started.")
        before = now
        time.sleep(1)


def sweep(pid: int, database: str, number: int) -> Swept:
    """Have a cluster sweep the fleet; `number` makes its slot."""
    from django_q.tasks import async_task

    from towns.models import HealthCheck

    slot = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    cpu = tree_cpu(pid)
    with Watch(pid, database) as watch:
        async_task("towns.tasks.sweep_health", slot.isoformat())
        found = finished(slot)
        time.sleep(1)  # what the queue writes down afterwards is a part of it
    assert found.finished_at is not None
    checks = HealthCheck.objects.filter(slot=slot).count()
    if checks != found.towns:
        raise SystemExit(f"The sweep of {found.towns} towns stored {checks} checks.")
    return Swept(
        towns=found.towns,
        wall=(found.finished_at - found.started_at).total_seconds(),
        cpu=tree_cpu(pid) - cpu,
        database_cpu=watch.database_cpu,
        memory_mb=watch.memory_mb,
        rss_mb=watch.rss_mb,
        results=found.summary["results"],
    )


def finished(slot: datetime):  # type: ignore[no-untyped-def]  # models load with the settings
    from towns.models import Sweep

    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        found = Sweep.objects.filter(kind="health", slot=slot, finished_at__isnull=False).first()
        if found is not None:
            return found
        time.sleep(0.1)
    raise SystemExit(f"The sweep of {slot} was not over after {PATIENCE_SECONDS} s.")
