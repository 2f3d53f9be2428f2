"""Holds the invariants of product.md, section 4, to a simulated history."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db import connection

from tests.world import Call, Moment
from towns.addresses import town_of_volume
from towns.models import (
    LifecycleEvent,
    Operation,
    Orphan,
    Town,
)
from towns.words import OperationKind, OperationState, Status

from .ours import SKEW
from .troubles import JUMP_SECONDS

if TYPE_CHECKING:
    from .simulation import Simulation

TAKEOVER = timedelta(seconds=60)
FRESH = timedelta(seconds=5)
"""What began so shortly before a stop could not be known any more."""


class Violation(AssertionError):
    """An invariant, by its number in product.md (0: an unexpected error), doesn't hold."""

    def __init__(self, invariant: int, what: str) -> None:
        super().__init__(f"invariant {invariant}: {what}")
        self.invariant = invariant


class Checker:
    """Looks on: at external calls, after every happening, and at the end."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.history: list[str] = []
        """Every lifecycle event so far, as one line."""
        self._found: Violation | None = None
        self._last_event = 0
        self._status: dict[UUID, str] = {}
        self._restarts: defaultdict[UUID, list[datetime]] = defaultdict(list)
        self._outages: dict[str, datetime] = {}
        self._in_outage: defaultdict[str, int] = defaultdict(int)

    # While it happens

    def at_call(self, call: Call, moment: Moment) -> None:
        """See whether this call may be made at all; what is wrong is told once it is over."""
        try:
            self._look_at(call, moment)
        except Violation as violation:
            self._found = self._found or violation

    def _look_at(self, call: Call, moment: Moment) -> None:
        if call.name == "sandbox.probe" and moment == Moment.AFTER:
            self.sim.truth.probes[UUID(call.subject)] = self.sim.seq
        elif call.name == "fly.stop_machine" and moment == Moment.BEFORE:
            self._may_stop(call)
        elif call.name == "fly.destroy_volume":
            self._may_destroy_volume(call, moment)
        elif call.name == "fly.destroy_machine" and moment == Moment.BEFORE:
            self._may_destroy_machine(call)
        elif call.name == "fly.create_volume" and moment == Moment.BEFORE:
            self._may_create_volume(call)

    def _may_stop(self, call: Call) -> None:
        """Invariant 4, by what is true rather than by what we know."""
        machine = self.sim.world.fly.machines.get(call.subject)
        if machine is None:
            return
        town = Town.objects.get(pk=machine.town_id)
        operation = open_operation(town.pk)
        if operation is None or operation.kind != OperationKind.STOP or not operation.automatic:
            return
        if town.stop_reason != "idle":
            return
        truth, now, probed = self.sim.truth, self.sim.world.now, self.sim.truth.probes
        process = machine.process
        work = truth.work.get(town.pk) if process and process.polecats_active else None
        if work and (work.seq < probed.get(town.pk, 0) or now - work.at > FRESH):
            raise Violation(4, f"{town} was stopped as idle with polecats at work since {work.at}")
        last = truth.interactions.get(town.pk)
        timeout = timedelta(minutes=town.idle_timeout_minutes) - self._off_by()
        if last is None or now - last.at >= timeout:
            return
        if last.seq < probed.get(town.pk, 0) or now - last.at > FRESH:
            raise Violation(4, f"{town} was stopped as idle; its owner was there at {last.at}")

    def _off_by(self) -> timedelta:
        """How far the clocks of our hosts may have been off each other."""
        jumped = any(event.what == "clock_jump" for event in self.sim.plan.events)
        return timedelta(seconds=JUMP_SECONDS if jumped else 0) + SKEW

    def _may_destroy_volume(self, call: Call, moment: Moment) -> None:
        """Invariant 3: a town's volume with data goes only where it is destroyed; another volume
        of a town only when staff have confirmed it."""
        volume = self.sim.world.fly.volumes.get(call.subject)
        town_id = town_of_volume(volume.name) if volume else None
        if volume is None or volume.data is None or town_id is None:
            return
        operation, town = open_operation(town_id), Town.objects.get(pk=town_id)
        kind = operation.kind if operation else None
        destroyed = kind in (OperationKind.DESTROY, OperationKind.RESTORE)
        if moment == Moment.AFTER:
            if destroyed:
                self.sim.truth.volume_destroyed(self.sim.world, town_id)
            return
        confirmed = Orphan.objects.filter(fly_id=volume.id, state=Orphan.State.CONFIRMED).exists()
        if not destroyed and (not confirmed or town.volume_id == volume.id):
            raise Violation(3, f"{volume.id} of a living town is destroyed by {kind}")

    def _may_destroy_machine(self, call: Call) -> None:
        """Recovery removes a machine only where its volume is provably gone."""
        machine = self.sim.world.fly.machines.get(call.subject)
        operation = open_operation(UUID(machine.town_id)) if machine else None
        if machine is None or operation is None or operation.kind != OperationKind.RECOVER:
            return
        if operation.params.get("from_backup"):
            return  # staff gave the volume up; it stays
        if machine.volume_id in self.sim.world.fly.volumes:
            raise Violation(5, f"{machine.id} is removed although its volume is there")

    def _may_create_volume(self, call: Call) -> None:
        """A town gets a new volume only where its own is provably gone, or staff gave it up."""
        if (town_id := town_of_volume(call.subject)) is None:
            return
        town, operation = Town.objects.get(pk=town_id), open_operation(town_id)
        own = self.sim.world.fly.volumes.get(town.volume_id)
        if own is None or own.state != "created" or operation is None:
            return
        if town.pk in self.sim.paused:
            return  # by a worker that had been paused: it is listed for staff
        if not operation.params.get("from_backup"):
            raise Violation(5, f"{town} gets a new volume although {own.id} is there")

    def in_hand(self) -> set[UUID]:
        """The towns whose operation somebody works on."""
        leased = Operation.objects.filter(
            state=OperationState.OPEN, lease_until__gt=self.sim.world.now
        )
        return set(leased.values_list("town_id", flat=True))

    # After each happening

    def after(self) -> None:
        """Everything that must hold at any time."""
        if self._found is not None:
            raise self._found
        if self.sim.world.record.violations:
            what = self.sim.world.record.violations[0]
            raise Violation(3 if "destroyed" in what or "emptied" in what else 2, what)
        if len(self.sim.world.record.log) > 5000:
            self.sim.world.record.log.clear()
            self.sim.world.faults.calls.clear()
        if not self._is_news():
            return
        events = list(LifecycleEvent.objects.filter(pk__gt=self._last_event).order_by("pk"))
        self._last_event = events[-1].pk
        for event in events:
            self.history.append(f"{event} {event.town_id} {event.to_status}")
            if event.to_status:
                self._follows(event)
            if event.automatic and event.kind == "restart":
                self._restarted(event)
        self._statuses_and_operations({event.town_id for event in events})

    def _is_news(self) -> bool:
        """A look that costs next to nothing, since it is had after each happening."""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT MAX(id) FROM {LifecycleEvent._meta.db_table}")
            newest = cursor.fetchone()[0]
        return newest is not None and newest > self._last_event

    def _follows(self, event: LifecycleEvent) -> None:
        """Invariant 7: each status comes from the one before it."""
        before = self._status.get(event.town_id, event.from_status)
        if event.from_status != before:
            raise Violation(7, f"{event} says from {event.from_status}, but it was {before}")
        self._status[event.town_id] = event.to_status

    def _restarted(self, event: LifecycleEvent) -> None:
        """Invariant 9: within the budget of the town, and not while the platform is down."""
        minutes = settings.GASTOWN_RESTART_WINDOW_MINUTES
        since = event.at - timedelta(minutes=minutes)
        cleared = Town.objects.get(pk=event.town_id).restarts_cleared_at
        past = self._restarts[event.town_id]
        past.append(event.at)
        recent = [at for at in past if at > since and (cleared is None or at > cleared)]
        if len(recent) > settings.GASTOWN_RESTART_LIMIT + 1:
            raise Violation(9, f"{len(recent)} automatic restarts of one town in {minutes} min")
        region = Town.objects.get(pk=event.town_id).region
        if (began := self._outages.get(region)) is not None:
            self._in_outage[region] += 1
            period = settings.GASTOWN_HEALTH_PERIOD_SECONDS
            sweeps = (self.sim.world.now - began).total_seconds() / period
            if self._in_outage[region] > sweeps + 3:
                count = self._in_outage[region]
                raise Violation(9, f"{count} restarts while all of {region} is down")

    def outage_began(self, region: str) -> None:
        """From now on all towns of the region fail; it counts where they are enough."""
        towns = Town.objects.filter(region=region, status=Status.RUNNING).count()
        if towns >= 2 * settings.GASTOWN_BREAKER_MIN_TOWNS and region not in self._outages:
            self._outages[region] = self.sim.world.now
            self._in_outage[region] = 0

    def outage_over(self, region: str) -> None:
        """The region answers again."""
        self._outages.pop(region, None)

    def all_statuses(self) -> None:
        """Invariants 1, 7 and 8 of all towns, whether they have news or not."""
        self._statuses_and_operations(set(self._status))

    def _statuses_and_operations(self, town_ids: set[UUID]) -> None:
        rows = dict(Town.objects.filter(pk__in=town_ids).values_list("pk", "status"))
        for town_id, status in rows.items():
            if self._status.get(town_id, status) != status:
                raise Violation(7, f"{town_id} is {status}; its events say {self._status[town_id]}")
        open_ones = list(Operation.objects.filter(state=OperationState.OPEN))
        if len({one.town_id for one in open_ones}) != len(open_ones):
            raise Violation(1, "two operations are under way for one town")
        healing = [
            one
            for one in open_ones
            if one.automatic and one.kind in (OperationKind.RESTART, OperationKind.RECOVER)
        ]
        if len(healing) > settings.GASTOWN_RESTARTS_AT_ONCE:
            raise Violation(9, f"{len(healing)} automatic restarts at once")
        latest = max(clock.now() for clock in self.sim.ours.clocks) + TAKEOVER + self._off_by()
        for one in open_ones:
            if one.lease_until is not None and one.lease_until > latest:
                raise Violation(8, f"the lease of {one} is good until {one.lease_until}")


def open_operation(town_id: UUID) -> Operation | None:
    return Operation.objects.filter(town=town_id, state=OperationState.OPEN).first()
