"""Runners as tasks: so many on a host, for so long, and until all is done."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from tests.factories import NOW, make_town
from tests.sweeps.fakes import FakeFleet
from towns.models import HealthCheck, Sweep, TaskSlot
from towns.sweeps import chunks, turns
from towns.sweeps.health import begin_sweep
from towns.task_slots import this_host

pytestmark = pytest.mark.django_db


@pytest.fixture
def begun(settings: Any) -> Sweep:
    """A sweep of three towns, each a chunk."""
    settings.GASTOWN_SWEEP_CHUNK_SIZE = 1
    for _ in range(3):
        make_town()
    sweep = begin_sweep(NOW, NOW)
    assert sweep is not None
    return sweep


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sweeps that runners were called for."""
    found: list[int] = []
    monkeypatch.setattr(turns, "call_runner", found.append)
    return found


@pytest.fixture(autouse=True)
def _time_goes_by(fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", fleet.clock.advance)


def test_it_works(fleet: FakeFleet, begun: Sweep, called: list[int]) -> None:
    assert turns.take_turn(begun.pk, fleet.services) == 3
    begun.refresh_from_db()
    assert begun.summary["results"] == {"ok": 3}
    assert called == [begun.pk], "one more, while there was something to do for it"
    assert TaskSlot.objects.get().until <= NOW, "its slot is free again"


def test_a_sweep_that_is_done_needs_nobody(
    fleet: FakeFleet, begun: Sweep, called: list[int]
) -> None:
    turns.take_turn(begun.pk, fleet.services)
    assert turns.take_turn(begun.pk, fleet.services) == 0
    assert len(fleet.sandboxes.asked) == 3


def test_a_host_has_so_many_runners_and_another_host_its_own(
    fleet: FakeFleet, begun: Sweep, called: list[int]
) -> None:
    until = NOW + timedelta(minutes=1)
    for number in range(settings.GASTOWN_SWEEP_RUNNERS):
        for host in (this_host(), "another"):
            TaskSlot.objects.create(kind="health sweep", host=host, number=number, until=until)
    assert turns.take_turn(begun.pk, fleet.services) == 0
    assert fleet.sandboxes.asked == []
    TaskSlot.objects.filter(host=this_host(), number=0).update(until=NOW)
    assert turns.take_turn(begun.pk, fleet.services) == 3


def test_the_chunks_of_a_lost_host_are_done_by_another_within_the_slot(
    fleet: FakeFleet, begun: Sweep, called: list[int]
) -> None:
    lost = chunks.claim(begun, "lost host", NOW)
    assert lost is not None
    assert turns.take_turn(begun.pk, fleet.services) == 3
    begun.refresh_from_db()
    assert begun.finished_at is not None
    waited = (begun.finished_at - NOW).total_seconds()
    assert waited == pytest.approx(settings.GASTOWN_LEASE_SECONDS, abs=1.5)
    assert HealthCheck.objects.filter(slot=NOW).count() == 3


def test_when_its_time_is_over_it_calls_for_another_one(
    fleet: FakeFleet, begun: Sweep, called: list[int]
) -> None:
    assert turns.take_turn(begun.pk, fleet.services, seconds=-1) == 0
    assert called == [begun.pk]
    assert fleet.sandboxes.asked == []


def test_who_died_before_it_concluded_is_made_up_for(
    fleet: FakeFleet, begun: Sweep, called: list[int]
) -> None:
    begun.chunks.update(finished_at=NOW, counts={"results": {"ok": 1}})
    assert turns.take_turn(begun.pk, fleet.services) == 0
    begun.refresh_from_db()
    assert begun.summary["results"] == {"ok": 3}
