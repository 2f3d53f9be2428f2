"""Bulk work as a task."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.factories import NOW
from towns import task_slots
from towns.bulk_work import working
from towns.bulk_work.plan import counts_of
from towns.models import BulkRun, TaskSlot
from towns.services import SystemClock

Begun = Callable[..., BulkRun]
CLOCK = SystemClock()


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often a successor was called for."""
    calls: list[str] = []
    monkeypatch.setattr(working, "call_worker", lambda: calls.append("called"))
    monkeypatch.setattr(working, "PAUSE_SECONDS", 0)
    return calls


def test_it_works(begun: Begun, called: list[str]) -> None:
    run = begun(2, canaries=0)
    assert working.work(CLOCK, seconds=0) == 1
    assert counts_of(run) == {"asked": 2}
    assert called == ["called"]
    assert TaskSlot.objects.get(kind=working.SLOT).until <= CLOCK.now(), "it is free"


def test_one_at_a_time(begun: Begun, called: list[str]) -> None:
    run, now = begun(2, canaries=0), CLOCK.now()
    assert task_slots.take(working.SLOT, "another host", now=now, until=now + timedelta(minutes=1))
    assert working.work(CLOCK, seconds=0) == 0
    assert counts_of(run) == {"waiting": 2}
    assert not called


def test_a_killed_one_holds_the_slot_for_a_minute(begun: Begun, called: list[str]) -> None:
    run = begun(1, canaries=0)
    before = NOW - timedelta(hours=1)
    task_slots.take(working.SLOT, "killed", now=before, until=before + timedelta(minutes=1))
    working.work(CLOCK, seconds=0)
    assert counts_of(run) == {"asked": 1}


def test_nothing_to_do_calls_nobody(called: list[str], db: None) -> None:
    assert working.work(CLOCK) == 0
    assert not called
