"""`manage.py prune_history`."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.commands.conftest import Call
from tests.factories import make_town
from towns.management.commands import prune_history
from towns.models import HealthCheck, Sweep

pytestmark = pytest.mark.django_db


def test_prune_history_removes_what_is_old(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune_history, "BATCH", 2)
    town, now = make_town(), timezone.now()
    for days in (0, 1, 15, 16, 17):
        HealthCheck.objects.create(town=town, checked_at=now - timedelta(days=days), result="ok")
    old = now - timedelta(days=20)
    Sweep.objects.create(kind="health", slot=old, started_at=old, finished_at=old)
    assert call("prune_history", "--dry-run", "--json").json["health_checks"] == 3
    assert HealthCheck.objects.count() == 5
    found = call("prune_history", "--json").json
    assert (found["health_checks"], found["sweeps"]) == (3, 1)
    assert HealthCheck.objects.count() == 2
