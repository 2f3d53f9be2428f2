"""Lives through a plan: days of virtual time with real flows, sweeps and rows."""

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User

from tests.world import START, Call, Killed, Moment, World
from towns import actions
from towns.models import Town
from towns.words import Status

from .checker import Checker, Violation
from .deeds import DEEDS, OWNER
from .ending import all_is_well, nothing_is_left
from .ours import NextDue, Ours
from .plan import COMMIT, OURS, Event, Plan
from .troubles import TROUBLES, error_of
from .truth import Truth

GRACE_SECONDS = 15 * 60
"""Invariant 10: so long after the last trouble every town is as desired, or in error."""
TAIL_SECONDS = 3 * 24 * 3600
SETTLE_SECONDS = 40 * 60
"""So long that a town that nobody uses has been stopped."""
REGIONS = ("ams", "iad")
EVERYTHING = {**DEEDS, **TROUBLES}


class Simulation:
    """One history: a fleet settles, and then lives through a plan. Both raise Violation as soon as
    an invariant doesn't hold."""

    def __init__(self, towns: int) -> None:
        self.plan = Plan(0, towns, 0, 0, ())
        self.world = World(0)
        self.ours = Ours(self.world, self._plan)
        self.truth = Truth()
        self.towns: list[UUID] = []
        self.marks = 0
        self.created = 0
        self.seq = 0
        self.checker = Checker(self)
        self.unexpected: list[str] = []
        """What our code has logged as an error."""
        self.paused: set[UUID] = set()
        """Towns whose worker was paused beyond its lease: its next call can't be taken back."""
        self._armed: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = 0
        self._depth = 0
        self._outages: dict[str, int] = {}
        self._down: dict[str, int] = {}

    @property
    def now(self) -> datetime:
        """The time as the host says that people's requests come to."""
        return self.ours.now

    def settle(self) -> None:
        """Make the towns, in peace: some have fallen asleep when it ends, others are in use."""
        self.world.faults.hooks.append(self._at_call)
        # After its last sync a destroyed town only shuts down: no work is lost by it.
        self.world.r2.forgiven.add("gt down")
        for _ in range(self.plan.towns):
            self.create_town()
        ours = self.ours
        self._periodic(0, "GASTOWN_HEALTH_PERIOD_SECONDS", ours.sweep_health)
        self._periodic(5, "GASTOWN_IDLE_PERIOD_SECONDS", ours.sweep_idle)
        self._periodic(10, "GASTOWN_RECONCILE_PERIOD_SECONDS", ours.sweep_reconcile)
        self._periodic(40, "GASTOWN_BACKUPS_PERIOD_SECONDS", ours.sweep_backups)
        self._periodic(30, 120, ours.deliver)
        for number in range(self.plan.towns):
            if number % 3:
                event = Event(0, "visit", number)
                self._plan(60 * (10 + number % 25), partial(self._happen, event))
        self._go_on(SETTLE_SECONDS)

    def live(self, plan: Plan) -> None:
        """Live through the plan, mend everything, and see that all is well in time."""
        self.plan = plan
        self.world.rng.seed(plan.seed)
        for event in plan.events:
            self._plan(SETTLE_SECONDS + event.at, partial(self._happen, event))
        ends = SETTLE_SECONDS + plan.hours * 3600
        self._go_on(ends)
        self._mend()
        self._go_on(ends + GRACE_SECONDS)
        self.checker.all_statuses()
        all_is_well(self)
        self._agenda.clear()
        self._end_all(ends + GRACE_SECONDS)
        nothing_is_left(self)

    def _end_all(self, begins: float) -> None:
        """What is still being destroyed, or left over by a drill, goes in the days after."""
        self.world.pace.beats = False
        self._plan(begins + 600, self.ours.sweep_backups)
        self._plan(begins + 700, self._confirm_what_is_gone)
        self._plan(begins + 900, self.ours.sweep_reconcile)
        self._go_on(begins + 3600)
        if NextDue()() is not None:
            self._go_on(begins + TAIL_SECONDS)

    def _confirm_what_is_gone(self) -> None:
        for town in Town.objects.exclude(status=Status.DESTROYED).select_related("owner"):
            DEEDS["confirm_gone"](self, town, Event(0, "confirm_gone"))

    def _go_on(self, ends: float) -> None:
        end = START + timedelta(seconds=ends)
        next_due = NextDue()
        while True:
            due = next_due()
            drive_at = None if due is None else max(due, self.ours.drive_from, self.world.now)
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
                self.ours.drive()
            self.checker.after()
            if self.unexpected:
                raise Violation(0, f"an unexpected error: {self.unexpected[0]}")

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen in so many seconds."""
        self.world.clock.later(seconds, action)

    def create_town(self) -> None:
        """One more town, of one of a few owners."""
        # Taken before anything can come in between: another creation, or the end of this one.
        number, self.created = self.created, self.created + 1
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

    def _periodic(self, at: float, period: str | float, action: Callable[[], None]) -> None:
        """From then on, after each so many seconds, or as many as the named setting says."""
        self._plan(at, partial(self._again, at, period, action))

    def _again(self, at: float, period: str | float, action: Callable[[], None]) -> None:
        seconds = getattr(settings, period) if isinstance(period, str) else period
        self._periodic(at + seconds, period, action)
        if not self.ours.is_off:
            action()

    def _happen(self, event: Event) -> None:
        if event.call:
            self._armed[event.call, event.moment].append(event)
            return
        with self.ours.mortal():
            self._do(event.what, event)

    def _do(self, what: str, event: Event) -> None:
        town = Town.objects.select_related("owner").get(pk=self.towns[event.town % len(self.towns)])
        EVERYTHING[what](self, town, replace(event, what=what))

    def at_commit(self, moment: Moment) -> None:
        """A transaction of ours is about to be committed, or just was."""
        self._whatever_is_armed(COMMIT, moment)

    def _at_call(self, call: Call, moment: Moment) -> None:
        self.seq += 1
        self.checker.at_call(call, moment)
        self._whatever_is_armed(call.name, moment)

    def _whatever_is_armed(self, call: str, moment: Moment) -> None:
        """It happens now, in the middle of the call."""
        if self._depth or not (armed := self._armed.get((call, moment))):
            return
        self._depth += 1
        try:
            self._strike(armed.pop(0))
        finally:
            self._depth -= 1

    def _strike(self, event: Event) -> None:
        match event.what:
            case "kill":
                raise Killed
            case "fail":
                raise error_of(_fitting(event))
            case "slow":
                self.world.clock.advance(min(event.amount, 25))
            case "pause":
                self.paused |= self.checker.in_hand()
                self.world.clock.advance(settings.GASTOWN_LEASE_SECONDS + 10)
                self.ours.drive()
            case "meanwhile" if event.detail in OURS:
                getattr(self.ours, event.detail)()
            case _:
                self._do(event.detail, event)
        self.seq += 1

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
        for clock in self.ours.clocks:
            clock.jump(0)
        self.ours.off_until = 0.0
        nothing = Event(0, "thaw")
        self._do("thaw", nothing)
        for town in Town.objects.exclude(hold_reason="").select_related("owner"):
            DEEDS["release"](self, town, nothing)
        for town in Town.objects.exclude(status=Status.DESTROYED):
            self.truth.rested(town.pk)


def _fitting(event: Event) -> str:
    """An error that such a call can have: what was refused had no effect."""
    room = event.call in ("fly.create_machine", "fly.start_machine", "fly.create_volume")
    refused = event.detail in ("rate_limited", "conflict", "capacity")
    if refused and (event.moment == "after" or not event.call.startswith("fly.")):
        return "unavailable"
    if event.detail == "capacity" and not room:
        return "unavailable"
    return event.detail
