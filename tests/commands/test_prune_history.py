"""`manage.py prune_history`."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.commands.conftest import Call
from tests.factories import make_town, make_user
from towns import history
from towns.history import Actor
from towns.management.commands import prune_history
from towns.models import HealthCheck, IdempotentRequest, LifecycleEvent, Sweep, SweepChunk

pytestmark = pytest.mark.django_db


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
        history.record(town, "changed", actor=Actor("ann"), now=at)
    long_ago = now - timedelta(days=100)
    Sweep.objects.create(kind="idle", slot=long_ago, started_at=long_ago)


def test_it_works(call: Call) -> None:
    ended = call("prune_history")
    assert ended.out.splitlines() == [
        "3 health checks removed.",
        "3 sweeps removed.",
        "4 requests removed.",
    ]
    assert HealthCheck.objects.count() == 3
    assert IdempotentRequest.objects.count() == 2
    assert SweepChunk.objects.count() == 3


def test_what_is_under_way_and_history_stay(call: Call) -> None:
    call("prune_history")
    assert Sweep.objects.filter(finished_at=None).count() == 1
    assert LifecycleEvent.objects.count() == 6


def test_a_dry_run_removes_nothing(call: Call) -> None:
    assert call("prune_history", "--dry-run", "--json").json == {
        "health_checks": 3,
        "sweeps": 3,
        "requests": 4,
        "dry_run": True,
    }
    assert HealthCheck.objects.count() == 6
    assert "3 health checks would be removed." in call("prune_history", "--dry-run").out


def test_it_removes_in_bounded_batches(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune_history, "BATCH", 2)
    with CaptureQueriesContext(connection) as captured:
        found = call("prune_history", "--json").json
    assert (found["health_checks"], HealthCheck.objects.count()) == (3, 3)
    table = HealthCheck._meta.db_table
    deletes = [q for q in captured if q["sql"].startswith(f'DELETE FROM "{table}"')]
    assert len(deletes) == 2


def test_how_long_checks_are_kept_is_a_setting(call: Call) -> None:
    with override_settings(GASTOWN_KEEP_CHECKS_DAYS=16):
        found = call("prune_history", "--json").json
    assert found["health_checks"] == 1


def test_again_removes_nothing(call: Call) -> None:
    call("prune_history")
    assert call("prune_history", "--json").json["health_checks"] == 0
