"""What the tests of bulk work share."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.factories import NOW, make_town, make_user
from towns.bulk_work import deciding
from towns.bulk_work.plan import make_plan
from towns.models import BulkRun, Operation, Town
from towns.words import OperationKind, OperationState


@pytest.fixture
def ann(db: None) -> User:
    """Staff who may stop towns."""
    return make_user("ann", is_staff=True, permissions=("view_town", "stop_town"))


@pytest.fixture
def begun(ann: User, monkeypatch: pytest.MonkeyPatch) -> Callable[..., BulkRun]:
    """Makes and begins a run that stops so many towns."""
    monkeypatch.setattr(deciding, "call_worker", lambda: None)

    def make(count: int, **how: Any) -> BulkRun:
        for _ in range(count):
            make_town()
        run = make_plan(OperationKind.STOP, Town.objects.all(), user=ann, selection="all", now=NOW)
        given = {"reason": "moving", "at_once": 3, "canaries": 1, "failures_allowed": 2, **how}
        assert deciding.begin(run.pk, user=ann, now=NOW, **given)
        run.refresh_from_db()
        return run

    return make


def end(state: str, count: int = 1000, message: str = "") -> None:
    """Have operations that are under way end so."""
    for operation in Operation.objects.filter(state=OperationState.OPEN).order_by("pk")[:count]:
        operation.state, operation.message = state, message
        operation.save(update_fields=["state", "message"])
