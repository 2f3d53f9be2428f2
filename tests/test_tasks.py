"""django-q2's entry points: what is enqueued, and that running twice harms nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from tests.factories import NOW, make_operation, make_town
from tests.sweeps.fakes import FakeFleet
from tests.world import World
from tests.world.asking import ask, ask_and_settle
from towns import tasks
from towns.flows import slots
from towns.models import Drill, HealthCheck, HealthHour, Sweep, TaskSlot, Town
from towns.task_slots import this_host
from towns.words import OperationKind

pytestmark = pytest.mark.django_db
SLOT = NOW.isoformat()


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> FakeFleet:
    """The outside of the tasks."""
    found = FakeFleet()
    monkeypatch.setattr(tasks, "default_services", lambda: found.services)
    monkeypatch.setattr("django.utils.timezone.now", found.clock.now)
    return found


@pytest.fixture
def world() -> World:
    """A simulated outside."""
    return World()


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was enqueued."""
    found: list[tuple[Any, ...]] = []
    for module in ("towns.tasks", "django_q.tasks"):
        monkeypatch.setattr(f"{module}.async_task", lambda *call: found.append(call))
    return found


def run(queue: list[tuple[Any, ...]]) -> None:
    """Run what was enqueued, each task twice, as a broker may."""
    for name, *given in queue:
        function: Callable[..., Any] = getattr(tasks, name.rsplit(".", 1)[1])
        function(*given)
        function(*given)


def test_a_sweep_is_split_into_chunks_that_any_worker_may_run(
    fleet: FakeFleet, queue: list[tuple[Any, ...]]
) -> None:
    for _ in range(5):
        make_town()
    with override_settings(GASTOWN_SWEEP_CHUNK_SIZE=2):
        assert tasks.sweep_health(SLOT) == 3
    run(queue)
    sweep = Sweep.objects.get()
    assert sweep.slot == NOW
    assert sweep.finished_at is not None
    assert (sweep.towns, sweep.summary["results"]) == (5, {"ok": 5})
    assert HealthCheck.objects.count() == 5


def test_a_chunk_that_was_enqueued_before_an_upgrade_is_swept(
    fleet: FakeFleet, queue: list[tuple[Any, ...]]
) -> None:
    make_town()
    tasks.sweep_health(SLOT)
    tasks.health_chunk(Sweep.objects.get().chunks.get().pk)
    assert Sweep.objects.get().finished_at is not None


def test_the_slot_is_the_scheduled_time_however_late_the_task_runs(
    fleet: FakeFleet, queue: list[tuple[Any, ...]]
) -> None:
    make_town()
    fleet.clock.advance(100)
    tasks.sweep_health((NOW + timedelta(seconds=7)).isoformat())
    assert Sweep.objects.get().slot == NOW


def test_a_sweep_that_is_delivered_twice_runs_once(
    fleet: FakeFleet, queue: list[tuple[Any, ...]]
) -> None:
    town = make_town()
    fleet.break_town(town)
    tasks.sweep_health(SLOT)
    tasks.sweep_health(SLOT)
    run(queue)
    tasks.sweep_health(SLOT)
    assert Town.objects.get().consecutive_failures == 1


def test_a_fleet_without_towns_is_swept_too(fleet: FakeFleet, queue: list[tuple[Any, ...]]) -> None:
    assert tasks.sweep_health(SLOT) == 0
    assert Sweep.objects.get().finished_at is not None


def test_an_idle_sweep(fleet: FakeFleet) -> None:
    assert tasks.sweep_idle(SLOT) == 0
    assert Sweep.objects.get(kind="idle").finished_at is not None


def test_a_sweep_of_backups_begins_drills_and_runs_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "default_services", lambda: world.services)
    world.running_town()
    slot = world.now.isoformat()
    assert tasks.sweep_backups(slot) == 1
    assert tasks.sweep_backups(slot) == 0
    assert Sweep.objects.get(kind="backups").towns == 1
    assert Drill.objects.count() == 1


def test_what_drills_left_over_is_removed_by_a_task(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "default_services", lambda: world.services)
    assert tasks.clean_up_drills() == 0
    town = world.running_town()
    ask_and_settle(world, town, "backup")
    ask(world, town, "drill")
    world.drive()
    ask_and_settle(world, town, "stop")
    assert tasks.clean_up_drills() == 1
    world.advance(10)
    assert tasks.clean_up_drills() == 1
    world.advance(10)
    assert tasks.clean_up_drills() == 0


def test_only_so_many_tasks_drive_at_once(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_operation(make_town(), OperationKind.BACKUP)
    driven: list[int] = []

    def drive(*_: Any, **__: Any) -> int:
        driven.append(tasks.drive())  # another task comes while this one drives
        return 1

    monkeypatch.setattr(slots, "drive", drive)
    monkeypatch.setattr(slots, "call_driver", lambda: None)
    tasks.drive()
    assert len(driven) == settings.GASTOWN_DRIVERS
    assert TaskSlot.objects.count() == settings.GASTOWN_DRIVERS


def test_a_killed_tasks_slot_is_free_again_when_its_time_is_over(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_operation(make_town(), OperationKind.BACKUP)
    monkeypatch.setattr(slots, "drive", lambda *_, **__: 1)
    monkeypatch.setattr(slots, "call_driver", lambda: None)
    for number in range(settings.GASTOWN_DRIVERS):
        until = NOW + timedelta(seconds=40)
        TaskSlot.objects.create(
            kind="drive", host=this_host(), number=number, holder="killed", until=until
        )
    assert tasks.drive() == 0
    fleet.clock.advance(41)
    assert tasks.drive() == 1


def test_another_hosts_drivers_take_no_slot_of_this_one(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_operation(make_town(), OperationKind.BACKUP)
    monkeypatch.setattr(slots, "drive", lambda *_, **__: 1)
    monkeypatch.setattr(slots, "call_driver", lambda: None)
    until = NOW + timedelta(seconds=40)
    for number in range(settings.GASTOWN_DRIVERS):
        TaskSlot.objects.create(kind="drive", host="another", number=number, until=until)
    assert tasks.drive() == 1


def test_with_nothing_due_nothing_is_driven(fleet: FakeFleet) -> None:
    assert tasks.drive() == 0
    assert not TaskSlot.objects.exists()


def test_history_is_prepared_and_pruned(
    world: World, queue: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "default_services", lambda: world.services)
    old = NOW - timedelta(days=30)
    HealthCheck.objects.create(town=make_town(), checked_at=old, result="ok")
    tasks.prepare_history()
    assert HealthHour.objects.count() == 1
    tasks.prune_history()
    tasks.prune_history()
    assert not HealthCheck.objects.exists()
    assert queue == []


def test_history_that_takes_long_goes_on_in_another_task(
    queue: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    HealthCheck.objects.create(town=make_town(), checked_at=NOW - timedelta(days=30), result="ok")
    monkeypatch.setattr(tasks, "HISTORY_SECONDS", -1)
    tasks.prune_history()
    tasks.prepare_history()
    assert queue == [("towns.tasks.prune_history",), ("towns.tasks.prepare_history",)]
    assert HealthCheck.objects.exists()
