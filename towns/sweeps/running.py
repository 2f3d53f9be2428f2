"""Works through the chunks of a health sweep: probes several at a time, through one set of sockets,
and stores each when it is complete, so that a town that hangs holds up its own chunk alone.

Any number of runners, on any number of hosts, may work at one sweep (`chunks`).
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from towns import addresses
from towns.flows.driver import worker_name
from towns.models import Sweep, SweepChunk
from towns.probe import Probe
from towns.services import Services
from towns.services.protocols import Probing
from towns.sweeps import chunks
from towns.sweeps.observing import DueTown, due_in, judged
from towns.sweeps.slots import about_sweep
from towns.sweeps.storing import store
from towns.sweeps.tally import Tally

SPREAD = 3
"""A sweep is spread over a third of its period, so that nobody sees a burst of it …"""
LEAST_PER_SECOND = 100.0
"""… but a small one is over at once."""
MOST_UNDER_WAY = 32
"""Chunks that one runner keeps in memory while they wait for towns that hang."""
WAIT_SECONDS = 0.05
LOOK_SECONDS = 1.0
"""When no chunk was free, so long no other one is looked for."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _UnderWay:
    chunk: SweepChunk
    towns: list[DueTown]


class Runner:
    """Works at one sweep for as long as it finds chunks that are free. Not for several threads.

    `claimed` hears of each chunk that is taken, `stored` of what was found in each.
    """

    def __init__(
        self,
        sweep: Sweep,
        services: Services,
        *,
        claimed: Callable[[], None] = lambda: None,
        stored: Callable[[Tally], None] = lambda _tally: None,
    ) -> None:
        self.name = worker_name()
        self.errors: list[Exception] = []
        """What went wrong in chunks. They are anybody's again when their leases are over."""
        self._sweep = sweep
        self._services = services
        self._claimed = claimed
        self._stored = stored
        self._under_way: dict[int, _UnderWay] = {}
        self._renewed_at = time.monotonic()

    def run(self, *, enough: Callable[[], bool] = lambda: False) -> None:
        """Take chunks until none is free or it is `enough`; those in hand are finished."""
        concurrency = settings.GASTOWN_PROBE_CONCURRENCY
        with self._services.sandbox.probing(concurrency=concurrency) as probing:
            looks_at = 0.0
            while True:
                while _has_room(probing) and time.monotonic() >= looks_at and not enough():
                    if not self._begin(probing):
                        looks_at = time.monotonic() + LOOK_SECONDS
                if not probing.under_way:
                    return
                # It waits but shortly: sockets are free before the chunk with a town that hangs is
                # complete, and are for the next chunk.
                taken = probing.take(WAIT_SECONDS)
                if taken is not None:
                    self._finish(*taken)
                self._renew()

    def _begin(self, probing: Probing) -> bool:
        """Have the towns of a free chunk probed; False when there is none."""
        now = self._services.clock.now()
        chunk = chunks.claim(self._sweep, self.name, now)
        if chunk is None:
            return False
        self._claimed()
        with self._about(chunk):
            towns = due_in(chunk.first_town, chunk.last_town)
            self._under_way[chunk.pk] = _UnderWay(chunk, towns)
            probing.per_second = pace(self._sweep, chunks.runners(self._sweep, now))
            probing.begin(chunk.pk, [addresses.sandbox_address(town) for town in towns])
        return True

    def _finish(self, chunk_id: int, probes: list[Probe]) -> None:
        held = self._under_way.pop(chunk_id)
        with self._about(held.chunk):
            try:
                observations = judged(held.towns, probes, self._services)
                now = self._services.clock.now()
                with transaction.atomic():
                    if not chunks.finish(chunk_id, self.name, now):
                        log.warning("the lease was over before the answers were there")
                        return
                    tally = store(observations, slot=self._sweep.slot, now=now)
                    SweepChunk.objects.filter(pk=chunk_id).update(counts=tally.as_json())
            except Exception as error:
                # One chunk that can't be stored must not stop the others.
                log.exception("this chunk was not stored")
                self.errors.append(error)
            else:
                self._stored(tally)

    def _renew(self) -> None:
        if time.monotonic() - self._renewed_at < settings.GASTOWN_LEASE_SECONDS / 3:
            return
        self._renewed_at = time.monotonic()
        chunks.renew(list(self._under_way), self.name, self._services.clock.now())

    def _about(self, chunk: SweepChunk) -> AbstractContextManager[None]:
        return about_sweep(self._sweep.kind, self._sweep.slot, chunk=chunk.number)


def _has_room(probing: Probing) -> bool:
    size: int = settings.GASTOWN_SWEEP_CHUNK_SIZE
    return probing.waiting < size and probing.under_way < MOST_UNDER_WAY


def pace(sweep: Sweep, runners: int) -> float:
    """How many towns each of so many runners begins to ask in a second."""
    whole = max(LEAST_PER_SECOND, SPREAD * sweep.towns / settings.GASTOWN_HEALTH_PERIOD_SECONDS)
    return whole / max(1, runners)
