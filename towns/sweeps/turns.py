"""Working at a health sweep as a task: bounded in time, and in number on each host.

A runner calls for more of them while chunks are free, so that each host with a free worker joins
in, and a host is added by starting its workers. When nothing is free any more it stays until all is
done: what a lost host held is free again when its leases are over.
"""

import time
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings

from towns import task_slots
from towns.flows.driver import worker_name
from towns.models import Sweep
from towns.services import Services
from towns.sweeps import chunks, health
from towns.sweeps.running import Runner

TURN_SECONDS = 60.0
"""After so long a runner takes no more chunks and makes way for other tasks; a task has two
minutes in all."""
CALL_SECONDS = 2.0
"""How often a runner calls for another one."""
LOOK_SECONDS = 1.0
"""How often it looks whether others have lost a chunk."""


def call_runner(sweep_id: int) -> None:
    """Enqueue a task that works at a sweep."""
    from django_q.tasks import async_task  # here, since it reads the broker's settings

    async_task("towns.tasks.run_health_sweep", sweep_id)


def take_turn(sweep_id: int, services: Services, *, seconds: float = TURN_SECONDS) -> int:
    """Work at a sweep, unless enough of this host do; returns how many chunks were stored."""
    sweep = Sweep.objects.get(pk=sweep_id)
    if sweep.finished_at is not None:
        return 0
    now = services.clock.now()
    held = task_slots.take(
        "health sweep",
        worker_name(),
        now=now,
        until=now + timedelta(seconds=seconds + settings.GASTOWN_LEASE_SECONDS),
        slots=settings.GASTOWN_SWEEP_RUNNERS,
        host=task_slots.this_host(),
    )
    if held is None:
        return 0
    try:
        return _work(sweep, services, ends=time.monotonic() + seconds)
    finally:
        task_slots.free(held, services.clock.now())


def _work(sweep: Sweep, services: Services, *, ends: float) -> int:
    stored = 0

    def count(_: object) -> None:
        nonlocal stored
        stored += 1

    while True:
        runner = Runner(sweep, services, claimed=_caller(sweep, services), stored=count)
        runner.run(enough=lambda: time.monotonic() > ends)
        health.conclude(sweep, services)
        if not Sweep.objects.filter(pk=sweep.pk, finished_at=None).exists():
            return stored
        if time.monotonic() > ends:
            call_runner(sweep.pk)
            return stored
        time.sleep(LOOK_SECONDS)


def _caller(sweep: Sweep, services: Services) -> Callable[[], None]:
    """Calls for a runner while there is something to do for it, but not too often."""
    called_at = -CALL_SECONDS

    def call() -> None:
        nonlocal called_at
        if time.monotonic() - called_at < CALL_SECONDS:
            return
        called_at = time.monotonic()
        if chunks.free(sweep, services.clock.now()).exists():
            call_runner(sweep.pk)

    return call
