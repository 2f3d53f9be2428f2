"""`manage.py prune_history`."""

from datetime import timedelta
from functools import partial
from itertools import chain, repeat

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import F
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import Task

from tests.commands.conftest import Call
from tests.factories import make_operation, make_town, make_user
from tests.world import World
from towns import history
from towns.history import Actor
from towns.models import (
    Alert,
    Backup,
    FlyBudget,
    HealthCheck,
    HealthHour,
    IdempotentRequest,
    LifecycleEvent,
    Operation,
    ReplayRun,
    Sweep,
    SweepChunk,
)
from towns.upkeep import hours, prune
from towns.words import OperationKind, OperationState

pytestmark = pytest.mark.django_db
postgresql = connection.vendor == "postgresql"


@pytest.fixture(autouse=True)
def rows(call: Call) -> None:
    """Some of each kind that are old, and some that are not."""
    town, user, now = make_town(), make_user(), timezone.now()
    for days in (0, 1, 13, 15, 16, 17):
        at = now - timedelta(days=days)
        HealthCheck.objects.create(town=town, checked_at=at, result="ok")
        sweep = Sweep.objects.create(kind="health", slot=at, started_at=at, finished_at=at)
        SweepChunk.objects.create(sweep=sweep, number=0, first_town=town.pk, last_town=town.pk)
        IdempotentRequest.objects.create(user=user, key=str(days), fingerprint="f", created_at=at)
        Task.objects.create(id=f"t{days}", name="x", func="x", started=at, stopped=at)
        ReplayRun.objects.create(
            days=7, actor="ann", created_at=at, went_on_at=at, finished_at=at, total=0
        )
        Session.objects.create(session_key=f"s{days}", expire_date=at + timedelta(hours=1))
        operation = make_operation(
            town, OperationKind.STOP, state=OperationState.SUCCEEDED, finished_at=at
        )
        history.record(town, "changed", actor=Actor("ann"), now=at, operation=operation)
    long_ago = now - timedelta(days=500)
    Sweep.objects.create(kind="idle", slot=long_ago, started_at=long_ago)
    for cause, resolved_at in (("old", long_ago), ("recent", now), ("open", None)):
        Alert.objects.create(
            town=town,
            subject=str(town.pk),
            cause=cause,
            severity="warning",
            message="m",
            opened_at=long_ago,
            seen_at=long_ago,
            resolved_at=resolved_at,
        )
    for snapshot, gone in (("gone", 17), ("gone-too", 15), ("just-gone", 1), ("there", None)):
        Backup.objects.create(
            town=town,
            snapshot=snapshot,
            created_at=long_ago,
            verified_at=long_ago,
            gone_at=None if gone is None else now - timedelta(days=gone),
        )
    for key, hours_ago in (("full", 2), ("in use", 0)):
        full_at = (now - timedelta(hours=hours_ago)).timestamp()
        FlyBudget.objects.create(key=key, full_at=full_at)
    HealthHour.objects.create(
        town=town, hour=hours.hour_of(long_ago), checks=1, ok=1, failed=0, unknown=0,
        downtime_seconds=0,
    )  # fmt: skip


def test_it_works(call: Call) -> None:
    ended = call("prune_history")
    assert ended.out.splitlines()[:15] == [
        "3 health checks removed.",
        "1 health hours removed.",
        "3 sweeps removed.",
        "4 requests removed.",
        "1 alerts removed.",
        "2 backups removed.",
        "0 bulk items removed.",
        "0 bulk runs removed.",
        "3 replays removed.",
        "0 webhook deliveries removed.",
        "0 webhooks removed.",
        "1 buckets removed.",
        "3 tasks removed.",
        "5 sessions removed.",
        "0 retained objects removed.",
    ]
    assert HealthCheck.objects.count() == 3
    assert IdempotentRequest.objects.count() == 2
    assert SweepChunk.objects.count() == 3
    assert ended.code == 0


def test_hours_are_made_before_their_checks_go(call: Call) -> None:
    call("prune_history")
    assert HealthHour.objects.filter(checks=1, ok=1).count() == 5, "the present one isn't over"


def test_what_is_under_way_and_history_stay(call: Call) -> None:
    call("prune_history")
    assert Sweep.objects.filter(finished_at=None).count() == 1
    assert set(Alert.objects.values_list("cause", flat=True)) == {"recent", "open"}
    assert LifecycleEvent.objects.count() == Operation.objects.count() == 6


def test_what_something_else_points_to_stays(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a later model points to, unless it belongs to the row."""
    seen: list[prune.Old] = [prune.Old("operations", Operation.objects.order_by("created_at"))]
    monkeypatch.setattr(prune, "old_rows", lambda now: seen)
    town = make_town()
    free = make_operation(town, OperationKind.STOP, state=OperationState.FAILED)
    assert call("prune_history", "--json").json["operations"] == 1
    assert not Operation.objects.filter(pk=free.pk).exists()
    assert Operation.objects.count() == 6


def test_a_dry_run_changes_nothing(call: Call) -> None:
    found = call("prune_history", "--dry-run", "--json").json
    assert found == {
        "health_checks": 3,
        "health_hours": 1,
        "sweeps": 3,
        "requests": 4,
        "alerts": 1,
        "backups": 2,
        "bulk_items": 0,
        "bulk_runs": 0,
        "replays": 3,
        "webhook_deliveries": 0,
        "webhooks": 0,
        "buckets": 1,
        "tasks": 3,
        "sessions": 5,
        "retained_objects": 0,
        "partitions_made": 0,
        "partitions_dropped": 0,
        "hours_made": 0,
        "left": [],
        "dry_run": True,
    }
    assert HealthCheck.objects.count() == 6
    assert HealthHour.objects.count() == 1
    assert "3 health checks would be removed." in call("prune_history", "--dry-run").out


def test_it_removes_in_bounded_batches(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "BATCH", 2)
    with CaptureQueriesContext(connection) as captured:
        found = call("prune_history", "--json").json
    assert (found["requests"], IdempotentRequest.objects.count()) == (4, 2)
    table = IdempotentRequest._meta.db_table
    deletes = [q for q in captured if q["sql"].startswith(f'DELETE FROM "{table}"')]
    assert len(deletes) == 2


def test_rows_of_backups_go_when_they_are_long_gone_and_full_buckets_at_once(call: Call) -> None:
    call("prune_history")
    assert set(Backup.objects.values_list("snapshot", flat=True)) == {"just-gone", "there"}
    assert list(FlyBudget.objects.values_list("key", flat=True)) == ["in use"]


def test_how_long_things_are_kept_are_settings(call: Call) -> None:
    with override_settings(GASTOWN_KEEP_CHECKS_DAYS=16, GASTOWN_KEEP_ALERTS_DAYS=1000):
        found = call("prune_history", "--json").json
    assert (found["health_checks"], found["alerts"]) == (1, 0)


def test_again_removes_nothing(call: Call) -> None:
    call("prune_history")
    again = call("prune_history", "--json").json
    assert {name: count for name, count in again.items() if count} == {}


def test_nothing_in_the_tables_is_nothing_to_do(call: Call) -> None:
    for model in (HealthCheck, Sweep, IdempotentRequest, Alert, Task, Session, HealthHour):
        model._default_manager.all().delete()
    found = call("prune_history", "--json")
    assert found.code == 0
    assert not any(found.json[name] for name in ("health_checks", "hours_made", "sweeps"))


def test_checks_whose_figures_cannot_be_made_stay(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hours, "make_hour", lambda *_: 0)
    ended = call("prune_history")
    assert ended.code == 1
    assert "stay: the figures of" in ended.err
    assert HealthCheck.objects.count() == 6
    assert Sweep.objects.count() == 4, "the rest is pruned all the same"


def test_a_check_that_was_stored_late_is_in_the_figures_too(call: Call) -> None:
    hours.make_hours(timezone.now())
    HealthCheck.objects.create(
        town=make_town(), checked_at=timezone.now() - timedelta(days=16), result="failed"
    )
    HealthHour.objects.filter(hour__gte=timezone.now() - timedelta(days=16)).update(checks=F("ok"))
    call("prune_history")
    assert HealthHour.objects.filter(failed=1).count() == 1
    assert HealthCheck.objects.count() == 3


def test_a_run_that_breaks_off_loses_nothing_and_the_next_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "BATCH", 1)
    now, runs = timezone.now(), 0
    done = prune.Pruned(unfinished=True)
    while done.unfinished and runs < 99:
        budget = chain([False] * 16, repeat(True))
        done = prune.prune(now, r2=world.services.r2, enough=partial(next, budget))
        runs += 1
    assert 1 < runs < 99
    assert HealthCheck.objects.count() == 3
    assert HealthHour.objects.filter(ok=1).count() == 5
    assert Sweep.objects.count() == 4
