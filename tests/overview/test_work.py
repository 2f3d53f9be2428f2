"""Sweeps, operations, restarts and platforms."""

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import NOW, make_operation, make_town
from towns.models import Sweep
from towns.overview.work import (
    SweepState,
    read_platforms,
    read_restarts,
    read_sweeps,
    read_under_way,
)
from towns.words import OperationKind

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def swept(kind: str, ago: timedelta, **summary: Any) -> Sweep:
    slot = NOW - ago
    return Sweep.objects.create(
        kind=kind,
        slot=slot,
        started_at=slot + 2 * SECOND,
        finished_at=slot + 9 * SECOND,
        towns=5,
        summary=summary,
    )


def test_sweeps() -> None:
    swept("health", 4 * MINUTE)
    swept("health", MINUTE)
    Sweep.objects.create(kind="health", slot=NOW, started_at=NOW)  # under way
    swept("idle", 7 * MINUTE)
    health, idle, reconcile, _ = read_sweeps(NOW)
    assert health == SweepState("health", NOW - MINUTE, 7.0, 5, 2 * SECOND, late=False)
    assert idle.late, "the last one is more than two periods old"
    assert reconcile == SweepState("reconcile"), "there was none yet"


def test_a_sweep_that_was_given_up_is_not_the_last_one() -> None:
    swept("health", 10 * MINUTE)
    swept("health", MINUTE, given_up=True)
    assert read_sweeps(NOW)[0].late


def test_a_sweep_that_saw_nothing_of_fly_is_not_the_last_one() -> None:
    swept("reconcile", 20 * MINUTE)
    swept("reconcile", MINUTE, blind=True)
    assert read_sweeps(NOW)[2].slot == NOW - 20 * MINUTE


def test_the_last_good_sweep_is_told_however_long_ago_it_was() -> None:
    """Or who watches for late sweeps would see the figure vanish, and be silent."""
    swept("reconcile", 300 * MINUTE)
    for number in range(60):
        swept("reconcile", (1 + number) * MINUTE, blind=True)
    reconcile = read_sweeps(NOW)[2]
    assert reconcile.slot == NOW - 300 * MINUTE
    assert reconcile.late


def test_operations_under_way() -> None:
    make_operation(make_town(), OperationKind.START, due_at=NOW - MINUTE)
    make_operation(make_town(), OperationKind.START, due_at=NOW + MINUTE)
    held = {"due_at": NOW - 5 * MINUTE, "lease_until": NOW + MINUTE}
    make_operation(make_town(), OperationKind.STOP, **held)
    make_operation(make_town(), OperationKind.STOP, state="failed")
    found = read_under_way(NOW)
    assert found.kinds == [("start", 2, 1), ("stop", 1, 0)]
    assert (found.total, found.due, found.longest_due) == (3, 1, MINUTE)


def test_restarts_of_the_window_are_the_automatic_ones() -> None:
    for ago, state, automatic in (
        (MINUTE, "succeeded", True),
        (MINUTE, "open", True),
        (31 * MINUTE, "succeeded", True),
        (40 * MINUTE, "open", True),
        (MINUTE, "open", False),
    ):
        made = {"created_at": NOW - ago, "state": state, "automatic": automatic}
        make_operation(make_town(), OperationKind.RESTART, **made)
    found = read_restarts(NOW)
    assert (found.under_way, found.at_once, found.in_window) == (2, 10, 2)


def test_platforms_nobody_asked_are_unknown() -> None:
    assert [(one.name, one.well) for one in read_platforms()] == [("Fly", None), ("R2", None)]


def test_platforms() -> None:
    swept("reconcile", MINUTE, blind=True, note="Fly did not answer.")
    swept("backups", MINUTE, unknown=2)
    fly, r2 = read_platforms()
    assert (fly.well, fly.told) == (False, "Fly did not answer.")
    assert (r2.well, r2.told) == (False, "did not answer about 2 towns")
    swept("reconcile", SECOND, blind=False)
    swept("backups", SECOND, ok=3)
    assert [one.told for one in read_platforms()] == ["answers", "answers"]
