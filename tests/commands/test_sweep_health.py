"""`manage.py sweep_health`."""

import pytest

from tests.commands.conftest import Call
from tests.world import World
from towns.models import HealthCheck

pytestmark = pytest.mark.django_db


def test_sweep_health_sweeps_the_slot_once(call: Call, world: World) -> None:
    town = world.running_town()
    ended = call("sweep_health", "--json")
    assert (ended.code, ended.json["results"]) == (0, {"ok": 1})
    assert HealthCheck.objects.filter(town=town, slot__isnull=False).count() == 1
    assert "swept already" in call("sweep_health").out


def test_sweep_health_by_name_asks_at_once(call: Call, world: World) -> None:
    town = world.running_town()
    for _ in range(2):
        ended = call("sweep_health", str(town), "--json")
        assert ended.json["towns"][0]["result"] == "ok"


def test_sweep_health_exits_with_1_if_a_town_could_not_be_asked(call: Call, world: World) -> None:
    town = world.running_town()
    world.faults.fly_down = world.faults.r2_down = True
    world.lose_machine(town)
    ended = call("sweep_health", str(town))
    assert ended.code == 1
    assert "1 towns could not be asked" in ended.err


def test_sweep_health_dry_run_stores_nothing(call: Call, world: World) -> None:
    world.running_town()
    before = HealthCheck.objects.count()
    assert call("sweep_health", "--dry-run", "--json").json["results"] == {"ok": 1}
    assert HealthCheck.objects.count() == before


def test_sweep_health_of_nobody(call: Call) -> None:
    assert call("sweep_health").out == "No town is awake: nobody was asked.\n"
