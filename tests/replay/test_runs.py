"""Replays that workers make, part after part."""

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import pytest
from django.test import override_settings

from tests.factories import make_town, make_user
from tests.replay.days import Days
from towns import tasks
from towns.history import Actor
from towns.models import ReplayRun, Town
from towns.replay import runs
from towns.replay.outcome import Totals
from towns.replay.run import prepare, replay
from towns.replay.scenario import EVERY, scenario_with

pytestmark = pytest.mark.django_db
ANN = Actor("ann")
SHORTER = (f"{EVERY}=15",)


@pytest.fixture
def days() -> Days:
    """Three towns that were idle and then stopped."""
    days = Days(("alpha", "beta", "gamma"))
    days.minutes(45)
    return days


def begin(days: Days, **fields: Any) -> ReplayRun:
    """A run that nobody has gone on with."""
    return runs.begin_run(SHORTER, days=7, actor=ANN, now=days.now, **fields)


def go_on(run: ReplayRun, days: Days, *enough: bool) -> bool:
    """A worker that has time for as many parts as there are answers, and then for all."""
    answers: Iterator[bool] = chain(enough, repeat(False))
    done = runs.go_on(run.pk, lambda: days.now, enough=lambda: next(answers))
    run.refresh_from_db()
    return done


def test_it_works(days: Days) -> None:
    run = begin(days)
    assert (run.state, run.total, run.done) == ("open", 3, 0)
    assert go_on(run, days)
    assert (run.state, run.done, run.actor) == ("succeeded", 3, "ann")
    at_once = replay(prepare(scenario_with(SHORTER), now=days.now, days=7))
    assert Totals.from_json(run.counted).as_json() == _plain(at_once)
    assert "machine hours would have been saved" in run.result


def _plain(totals: Totals) -> dict[str, Any]:
    return totals.as_json()


def test_it_goes_on_where_it_was(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "PART", 1)
    run = begin(days)
    assert not go_on(run, days, True)
    assert (run.state, run.done) == ("open", 1)
    assert not go_on(run, days, True)
    assert go_on(run, days)
    counted = Totals.from_json(run.counted)
    assert (run.state, run.done, counted.towns, counted.would_stop) == ("succeeded", 3, 3, 3)


def test_two_workers_at_once_count_nothing_twice(
    days: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PART", 1)
    run = begin(days)
    rival = iter([True])

    def enough() -> bool:
        if next(rival, False):  # while this worker is between two parts, the other does all
            assert runs.go_on(run.pk, lambda: days.now, enough=lambda: False)
        return False

    assert runs.go_on(run.pk, lambda: days.now, enough=enough)
    run.refresh_from_db()
    assert (run.state, run.done, Totals.from_json(run.counted).towns) == ("succeeded", 3, 3)


def test_a_sample_a_region_and_named_towns(days: Days) -> None:
    for fields, done in (
        ({"sample": 2}, 2),
        ({"sample": 9}, 3),
        ({"region": "ams"}, 3),
        ({"region": "iad"}, 0),
        ({"towns": [days.towns[1].pk]}, 1),
    ):
        run = begin(days, **fields)
        assert go_on(run, days)
        assert (run.state, run.done, run.total) == ("succeeded", done, done), fields


def test_settings_that_changed_meanwhile_fail_it_with_the_reason(days: Days) -> None:
    run = begin(days)
    with override_settings(GASTOWN_KEEP_CHECKS_DAYS=3):
        assert go_on(run, days)
    assert run.state == "failed"
    assert "A replay goes back 1 to 3 days, not 7" in run.result


def test_the_task_calls_for_another_while_towns_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[object] = []
    monkeypatch.setattr(runs, "call_worker", called.append)
    monkeypatch.setattr(runs, "PART", 1)
    monkeypatch.setattr(tasks, "_time_is_up", lambda: lambda: True)
    owner = make_user()
    for _ in range(2):
        make_town(owner=owner)
    now = Town.objects.values_list("created_at", flat=True)[0]
    run = runs.begin_run([], days=1, actor=ANN, now=now)
    tasks.go_on_with_replay(str(run.pk))
    assert called == [run.pk]
    for _ in range(2):
        tasks.go_on_with_replay(str(run.pk))
    run.refresh_from_db()
    assert (run.state, called) == ("succeeded", [run.pk, run.pk])
    assert runs.go_on(make_town().pk, lambda: now, enough=lambda: False), "one that is gone"


def test_one_that_is_cancelled_stops_after_the_part_that_it_is_at(
    days: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PART", 1)
    run = begin(days)

    def cancelled_meanwhile() -> bool:
        runs.cancel_run(run.pk, actor=ANN, now=days.now)
        return False

    assert runs.go_on(run.pk, lambda: days.now, enough=cancelled_meanwhile)
    run.refresh_from_db()
    assert (run.state, run.done, run.result) == ("cancelled", 1, "It was cancelled by ann.")
    assert not runs.cancel_run(run.pk, actor=ANN, now=days.now)
