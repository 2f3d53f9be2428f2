"""A ping after each good sweep."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
import responses
from django.test import override_settings

from tests.factories import NOW, make_town
from tests.sweeps.fakes import FakeFleet
from tests.world import World
from towns.models import Sweep
from towns.overview.work import read_sweeps
from towns.services import Services
from towns.sweeps import dead_man, health
from towns.sweeps.backups import sweep_backups
from towns.sweeps.dead_man import ping
from towns.sweeps.health import begin_sweep, conclude, sweep_fleet
from towns.sweeps.idle import sweep_idle
from towns.sweeps.reconcile import sweep_reconcile

Pinged = Callable[[Callable[[], object]], list[str]]
URL = "https://hc.test/key/{sweep}"
pytestmark = pytest.mark.usefixtures("at_once")
on = override_settings(GASTOWN_DEAD_MAN_URL=URL)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task is done when it is asked for."""
    monkeypatch.setattr(dead_man, "async_task", lambda _, kind: ping(kind))


@pytest.fixture
def pinged(django_capture_on_commit_callbacks: Any) -> Pinged:
    """What is pinged by what is done, once it is saved."""

    def done(work: Callable[[], object]) -> list[str]:
        with responses.RequestsMock(assert_all_requests_are_fired=False) as web:
            web.get(re.compile(r"https://hc\.test/key/\w+"))
            with django_capture_on_commit_callbacks(execute=True):
                work()
            return [str(call.request.url).rpartition("/")[2] for call in web.calls]

    return done


@pytest.mark.django_db
@on
@pytest.mark.parametrize(
    ("kind", "sweep"),
    [
        ("health", sweep_fleet),
        ("idle", lambda slot, services: sweep_idle(services, slot=slot)),
        ("reconcile", lambda slot, services: sweep_reconcile(services, slot=slot)),
        ("backups", lambda slot, services: sweep_backups(services, slot=slot)),
    ],
)
def test_each_sweep_pings_once_for_its_slot(
    pinged: Pinged, kind: str, sweep: Callable[[datetime, Services], object]
) -> None:
    services = World().services
    slot = services.clock.now()
    assert pinged(lambda: sweep(slot, services)) == [kind]
    assert pinged(lambda: sweep(slot, services)) == []


@pytest.mark.django_db
@on
def test_a_worker_that_is_too_late_pings_not_at_all(pinged: Pinged, fleet: FakeFleet) -> None:
    sweep = begin_sweep(NOW, NOW)
    assert sweep is not None
    assert pinged(lambda: conclude(sweep, fleet.services)) == ["health"]
    assert pinged(lambda: conclude(sweep, fleet.services)) == []


@pytest.mark.django_db
@on
def test_a_sweep_that_learned_nothing_is_no_good_one(pinged: Pinged, fleet: FakeFleet) -> None:
    towns = [make_town(), make_town()]
    fleet.fly.up = fleet.r2.up = False  # nobody answers: we are offline
    for town in towns:
        fleet.break_town(town)
    assert pinged(lambda: sweep_fleet(NOW, fleet.services)) == []
    assert Sweep.objects.get().summary["results"] == {"unknown": 2}
    [state] = [one for one in read_sweeps(NOW) if one.kind == "health"]
    assert state.slot is None, "nor does it count as the last that was done"
    fleet.mend_town(towns[0])
    later = NOW + timedelta(minutes=3)
    assert pinged(lambda: sweep_fleet(later, fleet.services)) == ["health"], "one town suffices"


@pytest.mark.django_db
@on
def test_a_sweep_of_backups_that_r2_does_not_answer_is_no_good_one(pinged: Pinged) -> None:
    world = World()
    world.running_town()
    world.faults.r2_down = True
    assert pinged(lambda: sweep_backups(world.services, slot=world.now)) == []


@pytest.mark.django_db
@on
def test_restarts_are_decided_before_the_ping(
    pinged: Pinged, fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    def sweep() -> None:
        with pytest.raises(RuntimeError, match="killed"):
            sweep_fleet(NOW, fleet.services)

    monkeypatch.setattr(health, "decide_restarts", dies)
    assert pinged(sweep) == []
    assert Sweep.objects.get().finished_at is not None


@pytest.mark.django_db
@on
def test_a_queue_that_takes_no_task_fails_nothing(
    django_capture_on_commit_callbacks: Any, fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise ConnectionError("no queue")

    monkeypatch.setattr(dead_man, "async_task", refuses)
    with django_capture_on_commit_callbacks(execute=True) as called:
        sweep_fleet(NOW, fleet.services)
    assert called
    assert Sweep.objects.get().finished_at is not None


@pytest.mark.django_db
def test_without_an_address_nothing_is_pinged(pinged: Pinged, fleet: FakeFleet) -> None:
    assert pinged(lambda: sweep_fleet(NOW, fleet.services)) == []


@on
@responses.activate
def test_its_failing_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    responses.get("https://hc.test/key/health", body=requests.ConnectionError("refused"))
    assert not ping("health")
    assert "ping of the health sweep failed: ConnectionError" in caplog.text
    assert "key" not in caplog.text, "the address is a secret"
    responses.replace("GET", "https://hc.test/key/health", status=404)
    assert not ping("health")
