"""`GET /metrics`."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from tests.factories import make_operation, make_town, make_user
from towns.metrics.store import add_to_sums
from towns.metrics.tally import Tally
from towns.models import Alert, Breaker, Freeze, Sweep
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db
TOKEN = "metrics-token-for-tests"


@pytest.fixture(autouse=True)
def _token() -> Any:
    cache.clear()
    with override_settings(GASTOWN_METRICS_TOKEN=TOKEN):
        yield


def read(client: Client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_it_works(client: Client) -> None:
    now = timezone.now()
    make_town(status=Status.STOPPED)
    operation = make_operation(
        make_town(), OperationKind.START, due_at=now - timedelta(seconds=90), created_at=now
    )
    Alert.objects.create(
        town=operation.town,
        cause="disk_warning",
        subject="x",
        severity="warning",
        message="",
        opened_at=now,
        seen_at=now,
    )
    Breaker.objects.create(scope="region:ams", state="open", reason="", opened_at=now)
    Freeze.objects.create(scope="all", reason="", actor="ann", since=now)
    slot = now - timedelta(minutes=2)
    Sweep.objects.create(
        kind="health",
        slot=slot,
        started_at=slot + timedelta(seconds=3),
        finished_at=slot + timedelta(seconds=10),
        towns=7,
    )
    found = read(client)
    kind = ("kind", "health")
    for key, value in {
        ("gastown_towns", (("status", "running"),)): 1,
        ("gastown_towns", (("status", "stopped"),)): 1,
        ("gastown_towns", (("status", "error"),)): 0,
        ("gastown_operations_open", (("kind", "start"),)): 1,
        ("gastown_operations_due", (("kind", "start"),)): 1,
        ("gastown_alerts_open", (("cause", "disk_warning"), ("severity", "warning"))): 1,
        ("gastown_breakers", (("scope", "region:ams"), ("state", "open"))): 1,
        ("gastown_frozen", (("scope", "all"),)): 1,
        ("gastown_automatic_restarts", (("what", "limit"),)): 10,
        ("gastown_sweep_seconds", (kind,)): 7,
        ("gastown_sweep_lag_seconds", (kind,)): 3,
        ("gastown_sweep_towns", (kind,)): 7,
        ("gastown_sweep_last_success_timestamp_seconds", (kind,)): slot.timestamp(),
        ("gastown_queue_tasks", ()): 0,
    }.items():
        assert found[key] == pytest.approx(value), key
    assert found["gastown_operations_due_seconds", ()] == pytest.approx(90, abs=30)


def test_what_processes_counted_is_told(client: Client) -> None:
    tally = Tally(add_to_sums, lambda: 0)
    tally.add("gastown_fly_calls", 4, action="start_machine", result="ok")
    tally.observe("gastown_step_seconds", 0.3, kind="start", step="start_machine")
    tally.observe("gastown_step_seconds", 9, kind="start", step="start_machine")
    tally.flush()
    found = read(client)
    call = (("action", "start_machine"), ("result", "ok"))
    assert found["gastown_fly_calls_total", call] == 4
    step = (("kind", "start"), ("step", "start_machine"))
    assert found["gastown_step_seconds_sum", step] == pytest.approx(9.3)
    assert found["gastown_step_seconds_count", step] == 2
    for bound, count in (("0.1", 0), ("0.5", 1), ("5", 1), ("10", 2), ("+Inf", 2)):
        key = tuple(sorted((*step, ("le", bound))))
        assert found["gastown_step_seconds_bucket", key] == count, bound


def test_who_may_read_it(client: Client) -> None:
    def asked(**headers: str) -> int:
        return client.get("/metrics", headers=headers).status_code

    assert asked() == 401
    assert asked(Authorization="Bearer wrong") == 401
    assert asked(Authorization=f"Basic {TOKEN}") == 401
    assert asked(Authorization=f"bearer {TOKEN}") == 200
    with override_settings(GASTOWN_METRICS_TOKEN=""):
        assert asked(Authorization="Bearer ") == 401
    client.force_login(make_user())
    assert asked() == 401
    client.force_login(make_user(is_staff=True))
    assert asked() == 401
    client.force_login(make_user(is_staff=True, permissions=("view_town",)))
    assert asked() == 200


def test_the_refusal_says_what_to_do(client: Client) -> None:
    answer = client.get("/metrics")
    assert answer["WWW-Authenticate"] == "Bearer"
    assert b"GASTOWN_METRICS_TOKEN" in answer.content


def test_it_costs_the_same_for_every_fleet(client: Client) -> None:
    def cost() -> int:
        cache.clear()
        with CaptureQueriesContext(connection) as captured:
            read(client)
        return len(captured)

    few = cost()
    for _ in range(10):
        make_operation(make_town(), OperationKind.START)
    assert cost() == few
    assert few <= 20
