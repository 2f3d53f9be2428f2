"""Replays that workers make, part after part."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain, repeat
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings
from django.utils import timezone

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


def test_one_that_no_worker_goes_on_with_ends_even_if_another_is_refused(days: Days) -> None:
    ann = Actor.person(make_user())
    left = begin(days)
    ReplayRun.objects.update(went_on_at=days.now - timedelta(minutes=16))
    mine = runs.begin_run(SHORTER, days=7, actor=ann, now=days.now)
    ReplayRun.objects.filter(pk=left.pk).update(state="open")
    with pytest.raises(runs.TooManyReplays, match="Your replay of") as refused:
        runs.begin_run(SHORTER, days=7, actor=ann, now=days.now)
    assert refused.value.running == [mine]
    left.refresh_from_db()
    assert (left.state, left.finished_at) == ("failed", days.now)
    assert go_on(left, days)
    assert (left.state, left.done) == ("failed", 0), "a worker that comes late adds nothing"


def test_one_that_a_worker_has_just_gone_on_with_is_left_alone(days: Days) -> None:
    run = begin(days)
    runs.end_abandoned(days.now + timedelta(minutes=14))
    run.refresh_from_db()
    assert run.state == "open"


@pytest.mark.django_db(transaction=True)
def test_many_who_ask_at_the_same_moment_get_no_more_than_a_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "call_worker", lambda _run_id: None)
    people = [Actor.person(make_user()) for _ in range(8)]
    gate, now = threading.Barrier(len(people)), timezone.now()
    refused: list[str] = []

    def ask(actor: Actor) -> None:
        try:
            gate.wait(30)
            runs.begin_run(SHORTER, days=7, actor=actor, now=now)
        except runs.TooManyReplays as error:
            refused.append(str(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask, args=[one]) for one in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (ReplayRun.objects.count(), len(refused)) == (runs.AT_ONCE, 5)
