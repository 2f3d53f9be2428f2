"""What sweeps log says of which sweep, slot, chunk and town it is."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings

from tests.factories import NOW, make_town
from tests.sweeps.fakes import FakeFleet
from tests.world import World
from towns.logs import AddIds
from towns.models import Sweep
from towns.sweeps.backups import sweep_backups
from towns.sweeps.health import sweep_fleet, sweep_named
from towns.sweeps.idle import sweep_idle
from towns.sweeps.reconcile import sweep_reconcile

pytestmark = pytest.mark.django_db
NAMES = ("sweep", "slot", "chunk", "town")
log = logging.getLogger("towns.test")


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[dict[str, str]]]:
    """The ids of the records that contain a text."""
    caplog.set_level("INFO", "towns")
    caplog.handler.addFilter(AddIds())

    def found(text: str) -> list[dict[str, str]]:
        records = [vars(one) for one in caplog.records if text in one.getMessage()]
        return [{name: one[name] for name in NAMES if name in one} for one in records]

    return found


def noting(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, which logs that it was made."""

    def noted(*given: Any, **named: Any) -> Any:
        log.info("asked")
        return call(*given, **named)

    return noted


@override_settings(GASTOWN_SWEEP_CHUNK_SIZE=1)
def test_a_health_sweep_and_its_chunks(
    fleet: FakeFleet, logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_town()
    make_town()
    monkeypatch.setattr(fleet.sandboxes, "probe_many", noting(fleet.sandboxes.probe_many))
    sweep_fleet(NOW, fleet.services)
    whole = {"sweep": "health", "slot": NOW.isoformat()}
    assert logged("asked") == [{**whole, "chunk": "0"}, {**whole, "chunk": "1"}]
    assert logged("the health sweep is done after 0.0 s") == [whole]


def test_a_sweep_of_named_towns_has_no_slot(
    fleet: FakeFleet, logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet.sandboxes, "probe_many", noting(fleet.sandboxes.probe_many))
    sweep_named([make_town()], fleet.services)
    assert logged("asked") == [{"sweep": "health"}]


@pytest.mark.parametrize(
    ("kind", "sweep"),
    [("idle", sweep_idle), ("reconcile", sweep_reconcile), ("backups", sweep_backups)],
)
def test_the_other_sweeps(logged: Any, kind: str, sweep: Callable[..., Any]) -> None:
    services = World().services
    slot = services.clock.now()
    sweep(services, slot=slot)
    assert logged("sweep is done") == [{"sweep": kind, "slot": slot.isoformat()}]


def test_a_slot_that_is_left_out(fleet: FakeFleet, logged: Any) -> None:
    Sweep.objects.create(kind="idle", slot=NOW - timedelta(minutes=3), started_at=NOW)
    sweep_idle(fleet.services, slot=NOW)
    assert logged("still under way") == [{"sweep": "idle", "slot": NOW.isoformat()}]


def test_what_is_asked_of_fly_about_a_town_names_it(
    logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    town = world.running_town()
    world.advance(60)  # what an operation has touched lately is not compared
    world.fly.crash(world.machine(town))
    monkeypatch.setattr(world.fly, "get_machine", noting(world.fly.get_machine))
    sweep_reconcile(world.services, slot=world.now)
    [ids] = {tuple(sorted(one.items())) for one in logged("asked")}
    assert dict(ids) == {
        "sweep": "reconcile",
        "slot": world.now.isoformat(),
        "town": str(town.pk),
    }
