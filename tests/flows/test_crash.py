"""Invariant 8: a worker killed at any moment loses nothing, and nothing is done twice.

Each flow is run once to see where it can be killed: before and after every external call, and
before and after every save of its row. Then it is run again for each such point, killed there, and
finished by another worker once the lease is over.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from django.conf import settings
from django.db import transaction
from django.test import override_settings

from tests.world import Call, Killed, Moment, World
from tests.world.asking import RULE, ask, ask_and_settle, state
from towns import history
from towns.flows.run import Run
from towns.models import LifecycleEvent, Operation, Town
from towns.words import OperationState

pytestmark = pytest.mark.django_db
SEEN_OFTEN = 2
"""The same call in the same step: the first ones stand for all; of a step that polls, the first."""


@dataclass(frozen=True, slots=True)
class Point:
    """A moment at which a worker may die: the n-th time that this is done in this step."""

    step: str
    what: str
    moment: Moment
    number: int

    def __str__(self) -> str:
        return f"{self.moment} {self.what} in {self.step} ({self.number})"


@dataclass(slots=True)
class Reaper:
    """Notes every point that a run passes, and kills the worker at one of them."""

    victim: Point | None = None
    step: str = ""
    seen: Counter[tuple[str, str, Moment]] = field(default_factory=Counter)
    points: list[Point] = field(default_factory=list)

    def external(self, call: Call, moment: Moment) -> None:
        self.passes(call.name, moment)

    def passes(self, what: str, moment: Moment) -> None:
        key = (self.step, what, moment)
        self.seen[key] += 1
        point = Point(*key, self.seen[key])
        if point.number <= (1 if self.step.startswith("await_") else SEEN_OFTEN):
            self.points.append(point)
        if point == self.victim:
            raise Killed


@contextmanager
def watched(world: World, reaper: Reaper, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the reaper see external calls and the saves between and within steps."""
    save = Run.save_operation

    def save_watched(run: Run, **fields: object) -> None:
        reaper.step = run.operation.step
        reaper.passes("save", Moment.BEFORE)
        save(run, **fields)
        reaper.passes("save", Moment.AFTER)
        reaper.step = run.operation.step

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save_operation", save_watched)
        world.faults.hooks.append(reaper.external)
        yield
        world.faults.hooks.remove(reaper.external)


Prepare = Callable[[World], Town]


def provisioned(world: World) -> Town:
    return world.create_town()


def starting(world: World) -> Town:
    town = world.stopped_town()
    ask(world, town, "start")
    return town


def stopping(world: World) -> Town:
    town = world.running_town()
    world.work(town, "late work")
    ask(world, town, "stop")
    return town


def stopping_idle(world: World) -> Town:
    town = world.running_town()
    world.grow_idle(town)
    ask(world, town, "stop", idle=True, actor=RULE)
    return town


def restarting(world: World) -> Town:
    town = world.running_town()
    ask(world, town, "restart", actor=RULE)
    return town


def recovering_all(world: World) -> Town:
    town = world.running_town()
    world.lose_host(town)
    ask(world, town, "restart", actor=RULE)
    return town


def recovering_machine(world: World) -> Town:
    town = world.running_town()
    world.lose_machine(town)
    ask(world, town, "restart", actor=RULE)
    return town


def recovering_volume(world: World) -> Town:
    town = world.running_town()
    world.lose_volume(town)
    ask(world, town, "restart", actor=RULE)
    return town


def recovering_from_backup(world: World) -> Town:
    town = world.stopped_town()
    ask(world, town, "recover", from_backup=True)
    return town


def destroying(world: World) -> Town:
    town = world.running_town()
    world.work(town, "late work")
    ask(world, town, "destroy")
    return town


def destroying_stopped(world: World) -> Town:
    town = world.running_town()
    world.faults.r2_down = True
    ask(world, town, "stop")
    world.settle()
    world.faults.clear()
    ask(world, town, "destroy")
    return town


def destroying_called_off(world: World) -> Town:
    town = world.stopped_town()
    for snapshot in world.snapshots(town):
        snapshot.missing_file = True
    ask(world, town, "destroy")
    world.drive()
    world.advance(world.pace.boot)
    ask(world, town, "start")
    return town


def restoring(world: World) -> Town:
    town = world.destroyed_town()
    ask(world, town, "restore")
    return town


def restoring_in_vain(world: World) -> Town:
    town = world.destroyed_town()
    world.fly.sick.add(str(town.pk))
    ask(world, town, "restore")
    return town


def backing_up(world: World) -> Town:
    town = world.running_town()
    world.work(town, "late work")
    ask(world, town, "backup")
    return town


def drilling(world: World) -> Town:
    town = world.running_town()
    ask_and_settle(world, town, "backup")
    ask(world, town, "drill")
    return town


def drilling_corrupt(world: World) -> Town:
    town = drilling(world)
    world.snapshots(town)[0].bad_checksum = True
    return town


FLOWS: list[tuple[Prepare, str]] = [
    (provisioned, "running"),
    (starting, "running"),
    (stopping, "stopped"),
    (stopping_idle, "stopped"),
    (restarting, "running"),
    (recovering_all, "running"),
    (recovering_machine, "running"),
    (recovering_volume, "running"),
    (recovering_from_backup, "running"),
    (destroying, "destroyed"),
    (destroying_stopped, "destroyed"),
    (destroying_called_off, "running"),
    (restoring, "running"),
    (restoring_in_vain, "destroyed"),
    (backing_up, "running"),
    (drilling, "running"),
    (drilling_corrupt, "running"),
]


@override_settings(GASTOWN_DEADLINE_RESTORING_MINUTES=1)  # so that the one in vain ends soon
@pytest.mark.parametrize(("prepare", "end"), FLOWS, ids=[flow[0].__name__ for flow in FLOWS])
def test_a_worker_may_be_killed_at_any_moment(
    prepare: Prepare, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = World()
    town = prepare(prepared)
    clean = run_killed(prepared, town, None, monkeypatch)
    assert clean.problems(end) == []
    assert len(clean.points) > 10
    problems = {}
    for point in clean.points:
        run = run_killed(prepared, town, point, monkeypatch)
        if found := run.problems(end, like=clean):
            problems[str(point)] = found
    assert not problems, "\n".join(f"killed {point}: {found}" for point, found in problems.items())


@dataclass(slots=True)
class Outcome:
    """What a run left behind."""

    points: list[Point]
    deaths: int
    killed: bool
    state: tuple[str, str]
    kinds: list[tuple[str, str]]
    violations: list[str]
    machines: int
    volumes: int
    starts: int
    marks: frozenset[str]
    open_operations: int
    broken_history: list[tuple[str, str]]
    ids_are_right: bool

    def problems(self, end: str, like: "Outcome | None" = None) -> list[str]:
        """What is wrong with it, compared with the clean run."""
        found = list(self.violations)
        if self.killed and self.deaths != 1:
            found.append(f"{self.deaths} workers died")
        if self.state[0] != end:
            found.append(f"it ended {self.state[0]}")
        if self.open_operations:
            found.append("an operation is still open")
        if self.broken_history:
            found.append(f"its history jumps: {self.broken_history}")
        if not self.ids_are_right:
            found.append("the row names another machine or volume than there is")
        if like is not None:
            for name in ("kinds", "machines", "volumes", "starts", "marks"):
                mine, clean = getattr(self, name), getattr(like, name)
                if mine != clean:
                    found.append(f"{name}: {mine} instead of {clean}")
        return found


def run_killed(
    prepared: World, town: Town, victim: Point | None, monkeypatch: pytest.MonkeyPatch
) -> Outcome:
    """Finish the flow in a copy of the world, with its worker killed at a point; undo it all."""
    world, reaper = prepared.fork(), Reaper(victim)
    with transaction.atomic():
        with watched(world, reaper, monkeypatch):
            world.settle(2 * 3600)
        outcome = look(world, town, reaper)
        transaction.set_rollback(True)
    return outcome


def look(world: World, town: Town, reaper: Reaper) -> Outcome:
    ended = state(town)
    world.advance(300)  # what goes away has gone
    machines, volumes = world.fly.machines_of(town.pk), world.fly.volumes
    marks = {mark for volume in volumes.values() if volume.data for mark in volume.data.marks}
    for folder in (world.r2.live(town.pk), world.r2.retained(town.pk)):
        for snapshot in folder.snapshots.values():
            marks |= set(snapshot.data.marks)
    town.refresh_from_db()
    operations = Operation.objects.filter(town=town)
    changes = list(
        LifecycleEvent.objects.filter(town=town, to_status__gt="")
        .order_by("id")
        .values_list("from_status", "to_status")
    )
    return Outcome(
        points=reaper.points,
        deaths=world.deaths,
        killed=reaper.victim is not None,
        state=ended,
        kinds=sorted(operations.values_list("kind", "state")),
        violations=list(world.record.violations),
        machines=len(world.fly.machines),
        volumes=len(volumes),
        starts=world.record.count("started"),
        marks=frozenset(marks),
        open_operations=operations.filter(state=OperationState.OPEN).count(),
        broken_history=[(old[1], new[0]) for old, new in pairwise(changes) if old[1] != new[0]],
        ids_are_right=[one.id for one in machines] == ([town.machine_id] if machines else []),
    )


def test_another_worker_takes_over_within_a_minute() -> None:
    world = World()
    town = world.create_town()
    world.faults.fail("fly.create_machine", Killed())
    world.drive()
    died = world.now
    operation = Operation.objects.get(town=town)
    assert operation.lease_until is not None
    world.advance(settings.GASTOWN_LEASE_SECONDS - 1)
    assert world.drive() == 0
    world.advance(1)
    assert world.drive() == 1
    assert (world.now - died).total_seconds() < 60


def test_kilo_1183_a_late_result_of_a_lost_lease_changes_nothing() -> None:
    world = World()
    town = world.create_town()
    late: list[str] = []

    def taken_over(call: Call, moment: Moment) -> None:
        if call.name == "fly.create_machine" and moment == Moment.AFTER and not late:
            late.append(call.name)
            world.advance(settings.GASTOWN_LEASE_SECONDS)  # it hangs, and its lease runs out
            world.settle()
            assert state(town)[0] == "running"
            ask(world, town, "stop")

    world.faults.hooks.append(taken_over)
    assert world.drive() == 1
    assert late
    operation = Operation.objects.get(town=town, kind="provision")
    assert operation.state == "succeeded"
    assert state(town) == ("stopping", "stopped")
    assert len(world.fly.machines) == 1
    world.settle()
    assert state(town) == ("stopped", "stopped")


def test_a_late_error_of_a_lost_lease_changes_nothing() -> None:
    world = World()
    town = world.stopped_town()
    ask(world, town, "start")
    late: list[str] = []

    def taken_over(call: Call, moment: Moment) -> None:
        if call.name == "fly.start_machine" and moment == Moment.AFTER and not late:
            late.append(call.name)
            world.advance(settings.GASTOWN_LEASE_SECONDS)
            world.settle()
            raise ValueError("a bug that shows late")

    world.faults.hooks.append(taken_over)
    world.drive()
    assert late
    assert state(town) == ("running", "running")
    assert town.events.filter(kind="start_failed").count() == 0


def test_a_status_never_changes_without_its_event() -> None:
    world = World()
    town = world.running_town()
    with (
        pytest.raises(Exception, match="only together with its lifecycle event"),
        transaction.atomic(),
    ):
        Town.objects.filter(pk=town.pk).update(status="stopped")
    assert history.lock_town(town.pk).status == "running"
