"""`GET /fleet`."""

from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from tests.factories import make_operation, make_town
from towns.models import Alert, Freeze, Sweep
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    cache.clear()


def test_it_works(staff: Any) -> None:
    now = timezone.now()
    town = make_town(status=Status.ERROR, status_reason="no capacity")
    make_operation(make_town(), OperationKind.START)
    Alert.objects.create(
        cause="x", subject="fleet", severity="critical", message="Look.", opened_at=now, seen_at=now
    )
    Freeze.objects.create(scope="all", reason="storm", actor="ann", since=now)
    Sweep.objects.create(kind="health", slot=now, started_at=now, finished_at=now, towns=2)
    found = staff.get("/api/v1/fleet").json()
    assert found["towns"] == 2
    assert found["by_status"] == {"running": 1, "error": 1}
    assert found["alerts_open"] == {"critical": 1, "warning": 0}
    assert found["operations"]["under_way"] == 1
    assert found["sweeps"][0]["towns"] == 2
    assert [one["reason"] for one in found["automation"]["freezes"]] == ["storm"]
    assert [(one["town"], one["reasons"]) for one in found["attention"]] == [
        (None, ["Look."]),
        (str(town), ["error: no capacity"]),
    ]


def test_owners_may_not_see_it(client: Any) -> None:
    answer = client.get("/api/v1/fleet")
    assert answer.status_code == 403
    assert answer.json()["detail"] == "Only staff may do that."


def test_it_costs_the_same_for_every_fleet(staff: Any, django_assert_max_num_queries: Any) -> None:
    for _ in range(15):
        make_operation(make_town(status=Status.UNHEALTHY), OperationKind.BACKUP)
    with django_assert_max_num_queries(24):
        staff.get("/api/v1/fleet")
