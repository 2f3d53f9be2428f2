"""A town's operations ask Fly in the town's own app, whatever the setting says by then."""

import pytest
from django.test import override_settings

from tests.world import World
from tests.world.apps import FIRST, SECOND, apps_asked, running_in, several
from tests.world.asking import RULE, ask, ask_and_settle, state
from towns import addresses
from towns.models import Drill, Operation, Town
from towns.services.errors import Misconfigured

pytestmark = pytest.mark.django_db


def app(town: Town) -> str:
    town.refresh_from_db()
    return town.fly_app


def test_it_works(world: World) -> None:
    with several():
        town = world.running_town()
        assert app(town) in (FIRST, SECOND)
        assert world.machine(town).app == world.volume(town).app == town.fly_app
        assert apps_asked(world) == {town.fly_app}


def test_a_plain_name_is_recorded_too(world: World) -> None:
    assert app(world.running_town()) == "towns"


@pytest.mark.parametrize("setting", ["towns-{1..8}", "others", FIRST])
def test_its_whole_life_is_in_its_app(world: World, setting: str) -> None:
    town = running_in(world, SECOND)
    begin = len(world.faults.calls)
    with several(setting):
        for kind in ("stop", "start", "restart", "backup", "drill"):
            ask_and_settle(world, town, kind)
        world.lose_host(town)
        ask_and_settle(world, town, "restart", actor=RULE)
        assert state(town) == ("running", "running")
        assert world.machine(town).app == world.volume(town).app == SECOND
        ask_and_settle(world, town, "destroy")
        assert state(town)[0] == "destroyed"
    assert apps_asked(world, begin) == {SECOND}
    assert app(town) == SECOND
    assert world.fly.machines_of(town.pk) == []
    world.check()


def test_a_restored_town_is_in_its_app_again(world: World) -> None:
    town = running_in(world, SECOND)
    with several("towns-{1..8}"):
        ask_and_settle(world, town, "destroy")
        ask_and_settle(world, town, "restore")
    assert state(town) == ("running", "running")
    assert world.machine(town).app == world.volume(town).app == app(town) == SECOND
    assert world.marks(town)[0] == "first work"


def test_one_whose_app_is_given_up_is_restored_where_new_towns_are_made(world: World) -> None:
    town = running_in(world, SECOND)
    ask_and_settle(world, town, "destroy")
    with several(FIRST):
        ask_and_settle(world, town, "restore")
    assert state(town) == ("running", "running")
    assert world.machine(town).app == world.volume(town).app == app(town) == FIRST


def test_a_misspelt_app_keeps_nobody(world: World) -> None:
    missing = Misconfigured("Fly has no app “misspelt”.")
    world.faults.fail("fly.*", missing, times=None, app="misspelt")
    with several("misspelt"):
        town, other = world.create_town(), world.create_town("beta")
        world.settle()
    assert state(town)[0] == "error"
    with several(FIRST):
        ask_and_settle(world, town, "recover")
        assert state(town) == ("running", "running")
        assert world.machine(town).app == app(town) == FIRST
        ask_and_settle(world, other, "destroy")
        assert state(other)[0] == "destroyed"


def test_a_wrong_token_for_its_app_loses_nothing(world: World) -> None:
    town, well = running_in(world, FIRST), running_in(world, SECOND, "beta")
    refused = Misconfigured("Fly refuses the token (401).")
    world.faults.fail("fly.*", refused, times=None, app=FIRST)
    with several():
        for one in (town, well):
            ask(world, one, "restart", actor=RULE)
        world.settle()
    assert state(well) == ("running", "running")
    assert state(town)[0] == "error"
    town.refresh_from_db()
    assert "token" in town.status_reason
    assert world.faults.count("fly.create_machine") == 2, "those of their provisioning"


def test_of_a_town_from_before_the_first_app_is_asked_and_proves_nothing(world: World) -> None:
    town = running_in(world, SECOND)
    Town.objects.update(fly_app="")
    with several():
        operation = ask_and_settle(world, town, "restart", actor=RULE)
    assert operation.state == "failed"
    assert world.faults.count("fly.create_machine") == 1
    assert len(world.fly.machines_of(town.pk)) == 1
    with several(f"{SECOND},{FIRST}"):
        ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town) == ("running", "running")


def test_a_drill_is_in_the_towns_app_and_is_cleaned_up_there(world: World) -> None:
    town = running_in(world, SECOND)
    with several("towns-{1..8}"):
        ask_and_settle(world, town, "backup")
        operation = ask_and_settle(world, town, "drill")
    drill = Drill.objects.get(pk=operation.pk)
    assert (drill.fly_app, drill.result) == (SECOND, "ok")
    assert drill.cleaned_at is not None
    assert len(world.fly.volumes) == 1


def test_the_sandbox_is_asked_in_the_towns_app(world: World) -> None:
    town = running_in(world, SECOND)
    with several(), override_settings(GASTOWN_SANDBOX_URL="http://{machine_id}.vm.{app}.internal"):
        address = addresses.sandbox_address(town)
        assert address.url == f"http://{town.machine_id}.vm.{SECOND}.internal"
        old = Town(machine_id="148e", region="iad")
        assert addresses.sandbox_address(old).url == f"http://148e.vm.{FIRST}.internal"


def test_creates_are_spread_over_the_apps(world: World) -> None:
    with several("towns-{1..4}"):
        towns = [world.create_town(f"town-{number}") for number in range(40)]
    assert len({one.fly_app for one in towns}) == 4
    assert Operation.objects.count() == 40
