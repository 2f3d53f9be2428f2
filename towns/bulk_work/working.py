"""Bulk work as a task: one worker of all hosts at a time, for a while; then it calls a successor at
the end of the queue, while anything is left. The schedule calls one every minute."""

import time
from datetime import timedelta

from towns.bulk_work.advance import advance_all
from towns.flows import slots
from towns.flows.driver import worker_name
from towns.services.protocols import Clock

SECONDS = 20.0
"""For so long a task goes on with runs, and nobody else does."""
PAUSE_SECONDS = 1.0
SLOT = 10_000
"""The number of its slot, far above those of drivers."""


def call_worker() -> None:
    """Enqueue the task that goes on with the runs there are."""
    from django_q.tasks import async_task  # here, since it reads the broker's settings

    async_task("towns.tasks.bulk_work")


def work(clock: Clock, *, seconds: float = SECONDS) -> int:
    """Go on with bulk runs, unless somebody does; returns how many still have something to do."""
    name, now = worker_name(), clock.now()
    if not slots.take(SLOT, name, now, now + timedelta(seconds=3 * SECONDS)):
        return 0
    until = time.monotonic() + seconds
    try:
        while (left := advance_all(clock.now())) and time.monotonic() < until:
            time.sleep(PAUSE_SECONDS)
    finally:
        slots.free(SLOT, name, clock.now())
    if left:
        call_worker()
    return left
