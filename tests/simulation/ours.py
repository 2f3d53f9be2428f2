"""Our own processes in a simulated world: two hosts that drive, sweep and deliver."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest

from tests.world import START, Killed, Timeline, World
from towns import alerts
from towns.flows.driver import drive_once
from towns.models import Operation, Sweep
from towns.services import Services
from towns.sweeps import backups, health, idle, reconcile
from towns.sweeps.running import Runner
from towns.sweeps.slots import slot_of
from towns.words import OperationState

REDELIVERY_SECONDS = 150
"""After so long django-q2's broker hands a task out again whose worker is gone."""
SKEW = timedelta(seconds=1.5)
"""As far the clocks of our two hosts are apart at their best."""
Plan = Callable[[float, Callable[[], None]], None]


class HostClock:
    """The clock of one host: the true time, and how far it is off."""

    def __init__(self, timeline: Timeline, skew: timedelta = timedelta(0)) -> None:
        self._timeline = timeline
        self._skew = skew
        self._jump = timedelta(0)

    def now(self) -> datetime:
        """The time that this host believes."""
        return self._timeline.now() + self._skew + self._jump

    def jump(self, seconds: float) -> None:
        """From now on it is off by so much more; 0 puts it right."""
        self._jump = timedelta(seconds=seconds)


class Ours:
    """What runs of ours. Each piece of work is done by the next host in turn, and may die in it;
    `plan` has something happen at a second of the history."""

    def __init__(self, world: World, plan: Plan) -> None:
        self.world = world
        self.clocks = [HostClock(world.clock), HostClock(world.clock, SKEW)]
        self.hosts = [replace(world.services, clock=clock) for clock in self.clocks]
        self.off_until = 0.0
        """Until then none of our processes runs."""
        self.delivered_twice = False
        self.drive_from = START
        self._plan = plan
        self._turn = 0

    @property
    def now(self) -> datetime:
        """The time as the host says that people's requests come to."""
        return self.clocks[0].now()

    @property
    def is_off(self) -> bool:
        """Whether none of our processes runs."""
        return self.world.now.timestamp() < self.off_until

    def _host(self) -> Services:
        self._turn += 1
        return self.hosts[self._turn % len(self.hosts)]

    @contextmanager
    def mortal(self) -> Iterator[None]:
        """Whoever works in here may be killed; nobody else hears of it."""
        try:
            yield
        except Killed:
            self.world.deaths += 1

    def drive(self) -> None:
        """A worker of one of the hosts runs what is due."""
        if self.is_off:
            self.drive_from = self.world.now + timedelta(seconds=10)
            return
        drove = 0
        with self.mortal():
            drove = drive_once(self._host())
        if not drove:
            self.drive_from = self.world.now + timedelta(seconds=1)

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
        with self.mortal():
            for sweep in Sweep.objects.filter(kind=Sweep.Kind.HEALTH, finished_at=None):
                self._chunks(sweep, self._host())

    def _chunks(self, sweep: Sweep, services: Services) -> None:
        Runner(sweep, services).run()
        health.conclude(sweep, services)

    def sweep_idle(self) -> None:
        """The idle sweep of this slot."""
        services = self._host()
        slot = slot_of(services.clock.now(), settings.GASTOWN_IDLE_PERIOD_SECONDS)
        with self.mortal():
            idle.sweep_idle(services, slot=slot)

    def sweep_reconcile(self) -> None:
        """The reconciliation of this slot."""
        services = self._host()
        slot = slot_of(services.clock.now(), settings.GASTOWN_RECONCILE_PERIOD_SECONDS)
        with self.mortal():
            reconcile.sweep_reconcile(services, slot=slot)

    def sweep_backups(self) -> None:
        """The sweep of backups of this slot, and the drill that is due."""
        services = self._host()
        slot = slot_of(services.clock.now(), settings.GASTOWN_BACKUPS_PERIOD_SECONDS)
        with self.mortal():
            backups.sweep_backups(services, slot=slot)

    def deliver(self) -> None:
        """Tell people about alerts."""
        with self.mortal():
            alerts.deliver_alerts(self._host().clock.now())


class NextDue:
    """When the next open operation can be claimed. The statement is compiled once: it is asked
    after each happening."""

    def __init__(self) -> None:
        at = Greatest(F("due_at"), Coalesce(F("lease_until"), F("due_at")))
        found = Operation.objects.filter(state=OperationState.OPEN).annotate(at=at)
        query = found.order_by("at").values_list("at")[:1].query
        self._statement = query.get_compiler(connection=connection).as_sql()

    def __call__(self) -> datetime | None:
        """None when none is open."""
        with connection.cursor() as cursor:
            cursor.execute(*self._statement)
            row = cursor.fetchone()
        if row is None or row[0] is None:
            return None
        if isinstance(row[0], str):  # SQLite's own form of a UTC time
            return datetime.fromisoformat(row[0]).replace(tzinfo=START.tzinfo)
        found = row[0]
        assert isinstance(found, datetime)
        return found
