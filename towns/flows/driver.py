"""Drives due operations: claims them under leases and runs their steps in a bounded crew.

Any number of drivers on any number of hosts may run. A lease keeps an operation in one hand; its
number is the fencing token that every save checks (`Run.save_operation`).
"""

import logging
import os
import queue
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import connection, connections, transaction
from django.db.models import Count, F, Q, QuerySet

from towns.flows import looks
from towns.flows.engine import run_claimed
from towns.models import Operation
from towns.services import Services
from towns.words import OperationState

log = logging.getLogger(__name__)
POLL_SECONDS = 0.25
LOAD_SECONDS = 1.0


def due_operations(now: datetime) -> QuerySet[Operation]:
    """Open operations that are due and in nobody's hand: people's first, the oldest first."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    return Operation.objects.filter(free, state=OperationState.OPEN, due_at__lte=now).order_by(
        "automatic", "due_at"
    )


def claim(
    now: datetime, *, owner: str, limit: int, only: uuid.UUID | None = None
) -> list[Operation]:
    """Take up to `limit` due operations under a lease; fewer, or none, if others were faster."""
    due = due_operations(now)
    if only is not None:
        due = due.filter(pk=only)
    if not due.exists():
        return []
    until = now + timedelta(seconds=settings.GASTOWN_LEASE_SECONDS)
    with transaction.atomic():
        skip = connection.features.has_select_for_update_skip_locked
        claimed = list(due.select_for_update(skip_locked=skip, no_key=True)[:limit])
        lease = {"lease_owner": owner, "lease_until": until}
        ids = [operation.pk for operation in claimed]
        Operation.objects.filter(pk__in=ids).update(**lease, lease_number=F("lease_number") + 1)
    for operation in claimed:
        operation.lease_number += 1
        operation.lease_owner, operation.lease_until = owner, until
    return claimed


def worker_name() -> str:
    """Names this worker in leases: host, process and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"[:80]


def drive_once(services: Services, *, limit: int = 100, only: uuid.UUID | None = None) -> int:
    """Run every operation that is due now, in this thread, one by one; returns how many."""
    claimed = claim(services.clock.now(), owner=worker_name(), limit=limit, only=only)
    for operation in claimed:
        try:
            run_claimed(operation, services)
        except Exception:
            # One that can't be saved must not stop the others; its lease runs out by itself.
            log.exception("operation %s", operation.pk)
    return len(claimed)


def drive(
    services: Services,
    *,
    seconds: float | None = None,
    until_idle: float | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Drive operations with a crew of threads; returns how many claims it worked on.

    Ends after `seconds`; or, with `until_idle`, once nothing is due within that many seconds; or
    when `stop()` says so. Steps under way are finished first.
    """
    ends = None if seconds is None else time.monotonic() + seconds
    worked, load = 0, Load()
    with Crew(services, settings.GASTOWN_DRIVER_THREADS) as crew:
        while not stop() and (ends is None or time.monotonic() < ends):
            now = services.clock.now()
            claimed = claim(now, owner=crew.name, limit=crew.free) if crew.free else []
            if claimed:
                least_wait = load.least_wait(now)
                for operation in claimed:
                    crew.submit(operation, least_wait=least_wait)
                worked += len(claimed)
                continue
            if until_idle is not None and crew.is_idle and not due_within(now, until_idle):
                break
            crew.wait(POLL_SECONDS)
    return worked


def due_within(now: datetime, seconds: float) -> bool:
    """Whether an open operation is due, or a dead worker's lease runs out, in that time."""
    soon = now + timedelta(seconds=seconds)
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=soon)
    return Operation.objects.filter(free, state=OperationState.OPEN, due_at__lte=soon).exists()


class Load:
    """How much there is to do for all drivers, looked at every second."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._looked_at = -LOAD_SECONDS

    def least_wait(self, now: datetime) -> float:
        """The fewest seconds that what waits should wait."""
        if time.monotonic() - self._looked_at >= LOAD_SECONDS:
            self._looked_at = time.monotonic()
            under_way = Operation.objects.filter(state=OperationState.OPEN)
            held = Count("lease_owner", distinct=True, filter=Q(lease_until__gt=now))
            found = under_way.aggregate(operations=Count("pk"), drivers=held)
            self._seconds = looks.least_wait(found["operations"], found["drivers"])
        return self._seconds


class Crew:
    """A bounded set of threads that run claimed operations, and a keeper of their leases."""

    def __init__(self, services: Services, size: int) -> None:
        self.name = worker_name()
        self._services = services
        self._queue: queue.SimpleQueue[tuple[Operation, float] | None] = queue.SimpleQueue()
        self._held: dict[uuid.UUID, int] = {}
        self._lock = threading.Lock()
        self._moved = threading.Event()
        self._closing = threading.Event()
        self._size = size
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(size)]
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Self:
        for thread in (*self._threads, self._keeper):
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._closing.set()
        self._keeper.join()

    @property
    def free(self) -> int:
        """How many more operations it can take."""
        with self._lock:
            return self._size - len(self._held)

    @property
    def is_idle(self) -> bool:
        """Whether it works on nothing."""
        return self.free == self._size

    def submit(self, operation: Operation, *, least_wait: float = 0.0) -> None:
        """Have a claimed operation run; if it waits, then for so many seconds at least."""
        with self._lock:
            self._held[operation.pk] = operation.lease_number
        self._queue.put((operation, least_wait))

    def wait(self, seconds: float) -> None:
        """Wait until a thread is free again, at most so long."""
        self._moved.wait(seconds)
        self._moved.clear()

    def _work(self) -> None:
        try:
            while (given := self._queue.get()) is not None:
                operation, least_wait = given
                try:
                    run_claimed(operation, self._services, least_wait=least_wait)
                except Exception:
                    log.exception("operation %s", operation.pk)
                finally:
                    with self._lock:
                        del self._held[operation.pk]
                    self._moved.set()
        finally:
            connections.close_all()

    def _keep(self) -> None:
        """Renew the leases of what is being worked on, so that a long step stays ours."""
        try:
            while not self._closing.wait(settings.GASTOWN_LEASE_SECONDS / 3):
                with self._lock:
                    held = dict(self._held)
                until = self._services.clock.now() + timedelta(
                    seconds=settings.GASTOWN_LEASE_SECONDS
                )
                for pk, number in held.items():
                    Operation.objects.filter(
                        pk=pk, lease_number=number, lease_until__isnull=False
                    ).update(lease_until=until)
        finally:
            connections.close_all()
