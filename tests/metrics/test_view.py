"""`GET /metrics`."""

import platform
import socket
import tomllib
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import django
import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import InterfaceError, OperationalError, connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import Schedule, Success
from django_q.monitor import save_task
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import ConnectionError as RedisConnectionError

from gastown_ops import __version__
from tests.factories import make_operation, make_town, make_user
from towns.metrics.store import add_to_sums
from towns.metrics.tally import Tally
from towns.models import Alert, Breaker, Freeze, Sweep
from towns.schedules import NAMES, names_by_func
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
        ("gastown_towns_wanted", (("desired", "running"),)): 2,
        ("gastown_towns_wanted", (("desired", "stopped"),)): 0,
        ("gastown_metrics_source_up", (("source", "queue"),)): 1,
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


def test_what_runs_here_is_told(client: Client) -> None:
    [labels] = [dict(key) for name, key in read(client) if name == "gastown_build_info"]
    assert labels == {
        "version": __version__,
        "python": platform.python_version(),
        "django": django.get_version(),
    }
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__


def by_schedule(client: Client, metric: str) -> dict[str, float]:
    """The values of a metric."""
    return {dict(key)["schedule"]: at for (name, key), at in read(client).items() if name == metric}


def ended_well(func: str, stopped: datetime) -> None:
    """As a cluster saves it, with all that it removes to make room."""
    task: dict[str, Any] = {"id": uuid4().hex, "name": "", "func": func, "args": (), "kwargs": {}}
    ended = {"started": stopped, "stopped": stopped, "success": True, "result": None}
    save_task({**task, **ended, "sync": True}, get_broker())


def test_the_last_success_of_a_rare_schedule_stays(client: Client) -> None:
    told = "gastown_schedule_last_success_timestamp_seconds"
    assert by_schedule(client, told) == {}
    night = timezone.now() - timedelta(hours=20)
    ended_well("towns.tasks.prune_history", night)
    kept: int = Conf.SAVE_LIMIT
    for number in range(2 * kept):
        ended_well("towns.tasks.drive", night + timedelta(minutes=number))
    ended_well("towns.tasks.run_health_sweep", night)
    assert Success.objects.count() == kept + 2, "the others are pruned as before"
    assert by_schedule(client, told) == {
        "prune history": pytest.approx(night.timestamp()),
        "drive operations": pytest.approx(night.timestamp() + 60 * (2 * kept - 1)),
    }


def test_when_each_schedule_is_due_is_told(client: Client) -> None:
    at = timezone.now() + timedelta(minutes=1)
    Schedule.objects.update(next_run=at)
    Schedule.objects.filter(name="bulk work").update(repeats=0)  # paused
    Schedule.objects.create(name="somebody's own", func="print", next_run=at)
    told = "gastown_schedule_next_run_timestamp_seconds"
    found = {
        dict(key)["schedule"]: due for (name, key), due in read(client).items() if name == told
    }
    assert found == {name: pytest.approx(at.timestamp()) for name in {*NAMES} - {"bulk work"}}


def test_every_schedule_has_its_function() -> None:
    assert set(names_by_func().values()) == set(NAMES)


@pytest.mark.parametrize(
    ("source", "reads", "error", "lost"),
    [
        ("queue", "get_broker", RedisConnectionError("refused"), "gastown_queue_tasks"),
        ("queue", "get_broker", OperationalError("gone"), "gastown_queue_tasks"),
        ("fleet", "recent_wrong_stop_rate", OperationalError("gone"), "gastown_towns"),
        ("sweeps", "read_sweeps", InterfaceError("closed"), "gastown_sweep_seconds"),
    ],
)
def test_what_can_t_be_read_is_left_out_and_named(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    source: str,
    reads: str,
    error: Exception,
    lost: str,
) -> None:
    Sweep.objects.create(
        kind="health", slot=timezone.now(), started_at=timezone.now(), finished_at=timezone.now()
    )
    assert lost in {name for name, _ in read(client)}

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(f"towns.metrics.collector.{reads}", fails)
    found = read(client)
    assert lost not in {name for name, _ in found}
    up = {dict(k)["source"]: v for (name, k), v in found.items() if name.endswith("source_up")}
    assert [name for name, value in up.items() if not value] == [source]
    assert ("gastown_operations_due_seconds", ()) in found
    assert f"the metrics of {source} can't be read: {error}" in caplog.text


def test_a_redis_that_is_gone_is_such_a_source(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:  # bound, but it does not listen
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setattr(Conf, "ORM", None)
        monkeypatch.setattr(Conf, "REDIS", f"redis://127.0.0.1:{nobody.getsockname()[1]}/0")
        found = read(client)
    assert found["gastown_metrics_source_up", (("source", "queue"),)] == 0
    assert ("gastown_queue_tasks", ()) not in found


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
