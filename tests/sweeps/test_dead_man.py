"""A ping after each good sweep."""

from datetime import timedelta
from typing import Any

import pytest
import requests
import responses
from django.test import override_settings

from tests.factories import NOW
from towns.models import Sweep
from towns.sweeps import dead_man
from towns.sweeps.dead_man import ping
from towns.sweeps.slots import finish_sweep

URL = "https://hc.test/key/{sweep}"
pytestmark = pytest.mark.usefixtures("at_once")
on = override_settings(GASTOWN_DEAD_MAN_URL=URL)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task is done when it is asked for."""
    monkeypatch.setattr(dead_man, "async_task", lambda _, kind: ping(kind))


def finished(capture: Any, kind: str = "health", *, times: int = 1, **summary: Any) -> list[str]:
    """What is pinged when a sweep is finished so many times."""
    sweep = Sweep.objects.create(kind=kind, slot=NOW, started_at=NOW)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as web:
        web.get(URL.format(sweep=kind))
        for _ in range(times):
            with capture(execute=True):
                finish_sweep(sweep, NOW + timedelta(seconds=5), summary=summary)
        return [str(call.request.url) for call in web.calls]


@pytest.mark.django_db
@on
def test_it_works(django_capture_on_commit_callbacks: Any) -> None:
    told = finished(django_capture_on_commit_callbacks, "idle", stopped=2)
    assert told == ["https://hc.test/key/idle"]


@pytest.mark.django_db
@on
def test_two_workers_ping_once(django_capture_on_commit_callbacks: Any) -> None:
    assert len(finished(django_capture_on_commit_callbacks, times=2)) == 1


@pytest.mark.django_db
@on
def test_a_sweep_that_saw_nothing_is_no_good_one(django_capture_on_commit_callbacks: Any) -> None:
    assert finished(django_capture_on_commit_callbacks, "reconcile", blind=True) == []


@pytest.mark.django_db
def test_without_an_address_nothing_is_pinged(django_capture_on_commit_callbacks: Any) -> None:
    assert finished(django_capture_on_commit_callbacks) == []


@on
@responses.activate
def test_its_failing_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    responses.get("https://hc.test/key/health", body=requests.ConnectionError("refused"))
    assert not ping("health")
    assert "ping of the health sweep failed: ConnectionError" in caplog.text
    assert "key" not in caplog.text, "the address is a secret"
    responses.replace("GET", "https://hc.test/key/health", status=404)
    assert not ping("health")
