"""Bulk work as a task: one worker of all hosts at a time, for a while; then it calls a successor at
the end of the queue, while anything is left. The schedule calls one every minute."""

import time
from datetime import timedelta

from towns import task_slots
from towns.bulk_work.advance import advance_all
from towns.flows.driver import worker_name
from towns.services.protocols import Clock

SECONDS = 20.0
"""For so long a task goes on with runs, and nobody else does."""
PAUSE_SECONDS = 1.0
SLOT = "bulk work"


def call_worker() -> None:
    """Enqueue the task that goes on with the runs there are."""
    from django_q.tasks import async_task  # here, since it reads the broker's settings

    async_task("towns.tasks.bulk_work")


def work(clock: Clock, *, seconds: float = SECONDS) -> int:
    """Go on with bulk runs, unless somebody does; returns how many still have something to do."""
    now = clock.now()
    held = task_slots.take(SLOT, worker_name(), now=now, until=now + timedelta(seconds=3 * SECONDS))
    if held is None:
        return 0
    until = time.monotonic() + seconds
    try:
        while (left := advance_all(clock.now())) and time.monotonic() < until:
            time.sleep(PAUSE_SECONDS)
    finally:
        task_slots.free(held, clock.now())
    if left:
        call_worker()
    return left
