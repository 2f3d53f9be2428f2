"""Lives through a plan: days of virtual time with real flows, sweeps and rows."""

import heapq
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.test import override_settings

from tests.world import START, Call, Killed, Moment, Timeline, World, next_due
from towns import actions, alerts
from towns.flows.driver import drive_once
from towns.models import Operation, Sweep, Town
from towns.services import Services
from towns.sweeps import health, idle, reconcile
from towns.sweeps.slots import slot_of
from towns.words import Status

from .checker import Checker, Violation
from .deeds import DEEDS, OWNER
from .plan import Event, Plan
from .troubles import TROUBLES, error_of
from .truth import Truth

GRACE_SECONDS = 15 * 60
"""Invariant 10: so long after the last trouble every town is as desired, or in error."""
TAIL_SECONDS = 3 * 24 * 3600
REDELIVERY_SECONDS = 150
REGIONS = ("ams", "iad")
EVERYTHING = {**DEEDS, **TROUBLES}


class HostClock:
    """The clock of one host: the true time, and how far it is off."""

    def __init__(self, timeline: Timeline, skew: float) -> None:
        self._timeline = timeline
        self._skew = skew
        self._jump = 0.0

    def now(self) -> datetime:
        """The time that this host believes."""
        return self._timeline.now() + timedelta(seconds=self._skew + self._jump)

    def jump(self, seconds: float) -> None:
        """From now on it is off by so much more; 0 puts it right."""
        self._jump = seconds


class Simulation:
    """One history. `run` raises Violation as soon as an invariant doesn't hold."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.world = World(plan.seed)
        self.truth = Truth()
        self.clocks = [HostClock(self.world.clock, 0), HostClock(self.world.clock, 1.5)]
        self.hosts = [replace(self.world.services, clock=clock) for clock in self.clocks]
        self.towns: list[UUID] = []
        self.marks = 0
        self.seq = 0
        self.off_until = 0.0
        self.delivered_twice = False
        self.calm = False
        """The last trouble is over."""
        self.checker = Checker(self)
        self._armed: list[Event] = []
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = 0
        self._turn = 0
        self._depth = 0
        self._drive_from = START
        self._outages: dict[str, int] = {}
        self._down: dict[str, int] = {}

    @property
    def now(self) -> datetime:
        """The time as the host says that people's requests come to."""
        return self.clocks[0].now()

    def run(self) -> None:
        """Live through the plan, mend everything, and see that all is well in time."""
        chunk = 3 if self.plan.seed % 3 == 0 else 500
        watch = _Watch()
        logging.getLogger("towns").addHandler(watch)
        try:
            with (
                override_settings(GASTOWN_SWEEP_CHUNK_SIZE=chunk),
                _ids_of_the_seed(self.plan.seed),
                transaction.atomic(),
            ):
                self._live(watch)
                transaction.set_rollback(True)
        finally:
            logging.getLogger("towns").removeHandler(watch)

    def _live(self, watch: "_Watch") -> None:
        self.world.faults.hooks.append(self._at_call)
        # After its last sync a destroyed town only shuts down: no work is lost by it.
        self.world.r2.forgiven.add("gt down")
        for _ in range(self.plan.towns):
            self.create_town()
        self._periodic(0, settings.GASTOWN_HEALTH_PERIOD_SECONDS, self.sweep_health)
        self._periodic(5, settings.GASTOWN_IDLE_PERIOD_SECONDS, self.sweep_idle)
        self._periodic(20, settings.GASTOWN_RECONCILE_PERIOD_SECONDS, self.sweep_reconcile)
        self._periodic(30, 60, self._deliver)
        begins = 60.0  # the first towns are made in peace
        for event in self.plan.events:
            self._plan(begins + event.at, partial(self._happen, event))
        ends = begins + self.plan.hours * 3600
        self._go_on(ends, watch)
        self._mend()
        self._go_on(ends + GRACE_SECONDS, watch)
        self.checker.all_is_well()
        self._agenda.clear()  # only what is still being destroyed goes on
        self._go_on(ends + GRACE_SECONDS + TAIL_SECONDS, watch)
        self.checker.nothing_is_left()

    def _go_on(self, ends: float, watch: "_Watch") -> None:
        end = START + timedelta(seconds=ends)
        while True:
            due = next_due()
            drive_at = None if due is None else max(due, self._drive_from, self.world.now)
            happens_at = self._agenda[0][0] if self._agenda else None
            at = min((t for t in (drive_at, happens_at) if t is not None), default=end)
            if at >= end:
                self.world.clock.advance_to(end)
                return
            self.world.clock.advance_to(at)
            self.seq += 1
            if happens_at is not None and happens_at <= self.world.now:
                heapq.heappop(self._agenda)[2]()
            else:
                self.drive()
            self.checker.after()
            watch.check(self)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen in so many seconds."""
        self.world.clock.later(seconds, action)

    def create_town(self) -> None:
        """One more town, of one of a few owners."""
        number = len(self.towns)
        owner, _ = User.objects.get_or_create(username=f"owner-{number % 5}")
        made = actions.create_town(
            owner,
            f"town-{number}",
            actor=OWNER,
            now=self.now,
            region=REGIONS[number % len(REGIONS)],
        )
        self.towns.append(made.operation.town_id)

    # What happens

    def _plan(self, seconds: float, action: Callable[[], None]) -> None:
        self._numbers += 1
        when = START + timedelta(seconds=seconds)
        heapq.heappush(self._agenda, (when, self._numbers, action))

    def _periodic(self, first: float, period: float, action: Callable[[], None]) -> None:
        self._plan(first, partial(self._again, first, period, action))

    def _again(self, at: float, period: float, action: Callable[[], None]) -> None:
        self._plan(at + period, partial(self._again, at + period, period, action))
        if not self._is_off:
            action()

    @property
    def _is_off(self) -> bool:
        return self.world.now.timestamp() < self.off_until

    def _happen(self, event: Event) -> None:
        if event.call:
            self._armed.append(event)
        else:
            self._do(event.what, event)

    def _do(self, what: str, event: Event) -> None:
        town = Town.objects.select_related("owner").get(pk=self.towns[event.town % len(self.towns)])
        EVERYTHING[what](self, town, replace(event, what=what))

    def _at_call(self, call: Call, moment: Moment) -> None:
        """Whatever is armed for such a call happens now, in the middle of it."""
        self.seq += 1
        self.checker.at_call(call, moment)
        if self._depth or not self._armed:
            return
        for event in list(self._armed):
            if event.call != call.name or event.moment != moment:
                continue
            self._armed.remove(event)
            self._depth += 1
            try:
                self._strike(event, moment)
            finally:
                self._depth -= 1
            return

    def _strike(self, event: Event, moment: Moment) -> None:
        match event.what:
            case "kill":
                raise Killed
            case "fail":
                raise error_of(_fitting(event))
            case "slow":
                self.world.clock.advance(min(event.amount, 25))
            case "pause":
                self.world.clock.advance(settings.GASTOWN_LEASE_SECONDS + 10)
                self.drive()
            case "meanwhile" if event.detail == "drive":
                self.drive()
            case "meanwhile" if event.detail == "sweep_health":
                self.sweep_health()
            case "meanwhile" if event.detail == "sweep_idle":
                self.sweep_idle()
            case "meanwhile" if event.detail == "sweep_reconcile":
                self.sweep_reconcile()
            case _:
                self._do(event.detail, event)
        self.seq += 1

    # Our processes

    def _host(self) -> Services:
        self._turn += 1
        return self.hosts[self._turn % len(self.hosts)]

    def drive(self) -> None:
        """A worker of one of the hosts runs what is due."""
        if self._is_off:
            self._drive_from = self.world.now + timedelta(seconds=10)
            return
        drove = 0
        try:
            drove = drive_once(self._host())
        except Killed:
            self.world.deaths += 1
        if not drove:
            self._drive_from = self.world.now + timedelta(seconds=1)

    def sweep_health(self) -> None:
        """The health sweep of this slot, as its tasks do it; delivered twice if so planned."""
        services = self._host()
        slot = slot_of(services.clock.now(), settings.GASTOWN_HEALTH_PERIOD_SECONDS)
        try:
            sweep = health.begin_sweep(slot, services.clock.now())
            if sweep is None:
                return
            self._chunks(sweep, services)
            if self.delivered_twice:
                self.delivered_twice = False
                self._chunks(sweep, self._host())
        except Killed:
            self.world.deaths += 1
            seconds = (self.world.now - START).total_seconds() + REDELIVERY_SECONDS
            self._plan(seconds, self._redeliver_health)

    def _redeliver_health(self) -> None:
        for sweep in Sweep.objects.filter(kind=Sweep.Kind.HEALTH, finished_at=None):
            self._chunks(sweep, self._host())

    def _chunks(self, sweep: Sweep, services: Services) -> None:
        for chunk in sweep.chunks.select_related("sweep"):
            health.run_chunk(chunk, services)
            health.conclude(sweep, services)
        health.conclude(sweep, services)

    def sweep_idle(self) -> None:
        """The idle sweep of this slot."""
        services = self._host()
        slot = slot_of(services.clock.now(), settings.GASTOWN_IDLE_PERIOD_SECONDS)
        try:
            idle.sweep_idle(services, slot=slot)
        except Killed:
            self.world.deaths += 1

    def sweep_reconcile(self) -> None:
        """The reconciliation of this slot."""
        services = self._host()
        slot = slot_of(services.clock.now(), settings.GASTOWN_RECONCILE_PERIOD_SECONDS)
        try:
            reconcile.sweep_reconcile(services, slot=slot)
        except Killed:
            self.world.deaths += 1

    def _deliver(self) -> None:
        alerts.deliver_alerts(self.now)

    # Troubles that last

    def down(self, what: str, seconds: float) -> None:
        """A part of the outside is away for so long; troubles may overlap."""
        self._down[what] = self._down.get(what, 0) + 1
        setattr(self.world.faults, what, True)
        self.later(seconds, partial(self._up, what))

    def _up(self, what: str) -> None:
        self._down[what] -= 1
        if not self._down[what]:
            setattr(self.world.faults, what, False)

    def begin_outage(self, region: str, seconds: float) -> None:
        """Every machine of a region hangs, also one that is started meanwhile."""
        self._outages[region] = self._outages.get(region, 0) + 1
        self.world.sandbox.dark.add(region)
        self.checker.outage_began(region)
        self.later(seconds, partial(self._outage_over, region))

    def _outage_over(self, region: str) -> None:
        self._outages[region] -= 1
        if not self._outages[region]:
            self.world.sandbox.dark.discard(region)
            self.checker.outage_over(region)

    def _mend(self) -> None:
        """The last trouble is over; staff take their holds and freezes back."""
        self._armed.clear()
        self.world.mend()
        self._down = dict.fromkeys(self._down, 10**6)  # what is planned mends nothing any more
        for region in list(self._outages):
            self.world.sandbox.dark.discard(region)
            self.checker.outage_over(region)
            self._outages[region] = 10**6
        for clock in self.clocks:
            clock.jump(0)
        self.off_until = 0.0
        nothing = Event(0, "thaw")
        self._do("thaw", nothing)
        for town in Town.objects.exclude(hold_reason="").select_related("owner"):
            DEEDS["release"](self, town, nothing)
        for town in Town.objects.exclude(status=Status.DESTROYED):
            self.truth.rested(town.pk)
        self.calm = True


@contextmanager
def _ids_of_the_seed(seed: int) -> Iterator[None]:
    """Rows are found in the order of their ids: for a replay they have to be the same."""
    rng = random.Random(seed)
    fields = [model._meta.get_field("id") for model in (Town, Operation)]
    before = [field.default for field in fields]
    try:
        for field in fields:
            _set_default(field, lambda: UUID(int=rng.getrandbits(128), version=4))
        yield
    finally:
        for field, default in zip(fields, before, strict=True):
            _set_default(field, default)


def _set_default(field: Any, default: Callable[[], UUID]) -> None:
    field.default = default
    field.__dict__.pop("_get_default", None)  # Django keeps it once it was asked for


def _fitting(event: Event) -> str:
    """An error that such a call can have: what was refused had no effect."""
    room = event.call in ("fly.create_machine", "fly.start_machine", "fly.create_volume")
    refused = event.detail in ("rate_limited", "conflict", "capacity")
    if refused and (event.moment == "after" or not event.call.startswith("fly.")):
        return "unavailable"
    if event.detail == "capacity" and not room:
        return "unavailable"
    return event.detail


class _Watch(logging.Handler):
    """Whatever our code calls unexpected is a defect."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.seen.append(f"{record.getMessage()}: {self.format(record)[-1500:]}")

    def check(self, sim: Simulation) -> None:
        """Raise Violation for what was logged."""
        if self.seen:
            raise Violation(0, f"an unexpected error: {self.seen[0]}")
