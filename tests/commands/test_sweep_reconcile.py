"""`manage.py sweep_reconcile` and `manage.py orphans`."""

import pytest
from tqdm import tqdm

from tests.commands.conftest import Call
from tests.sweeps.reconcile.asking import add_volume, old_volume_name
from tests.world import World
from tests.world.apps import FIRST, SECOND, running_in, several
from towns.models import Orphan, Sweep, Town
from towns.services.errors import Unavailable

pytestmark = pytest.mark.django_db


def orphaned(world: World) -> str:
    """A town with an old volume; returns the volume's id."""
    town = world.running_town()
    Town.objects.update(generation=2)
    world.advance(60)
    return add_volume(world, old_volume_name(town, 1)).id


def test_it_works(call: Call, world: World) -> None:
    town = world.running_town()
    world.advance(60)
    world.fly.crash(world.machine(town))
    ended = call("sweep_reconcile")
    assert ended.code == 0, ended.err
    assert f"{town}: Fly says that machine {town.machine_id} is stopped" in ended.out
    assert "Is restarted: Fly says" in ended.out
    assert ended.out.strip().endswith("1 towns compared, 1 drifts, 0 orphans.")
    assert Sweep.objects.get().summary["actions"] == {"restart": 1}


def test_json_is_one_document(call: Call, world: World) -> None:
    lost = orphaned(world)
    document = call("sweep_reconcile", "--json").json
    assert document["looked_at"] == 1
    [orphan] = document["orphans"]
    assert (orphan["id"], orphan["size_gb"], orphan["made"]) == (lost, 50, "1 h ago")


def test_a_dry_run_writes_nothing(call: Call, world: World) -> None:
    lost = orphaned(world)
    assert (
        f"orphan volume {lost} (ams, 50 GB, made 1 h ago)"
        in call("sweep_reconcile", "--dry-run").out
    )
    assert not Orphan.objects.exists()
    assert not Sweep.objects.exists()


def test_named_towns_are_looked_at_whatever_the_slot(call: Call, world: World) -> None:
    town = world.running_town()
    world.advance(60)
    call("sweep_reconcile")
    world.fly.crash(world.machine(town))
    assert call("sweep_reconcile", "--json").json["note"].startswith("This slot was swept")
    assert call("sweep_reconcile", str(town), "--json").json["drift"][0]["action"] == "restart"


@pytest.mark.parametrize("name", ["fly.list_machines", "fly.get_machine"])
def test_what_could_not_be_asked_is_exit_code_1(call: Call, world: World, name: str) -> None:
    town = world.running_town()
    world.advance(60)
    world.fly.crash(world.machine(town))
    world.faults.fail(name, Unavailable("Fly did not answer."))
    ended = call("sweep_reconcile")
    assert ended.code == 1
    assert len(ended.err.strip().splitlines()) == 1


def test_a_terminal_sees_how_far_it_is(
    call: Call, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    monkeypatch.setattr(tqdm, "update", lambda _, count=1: heard.append(count))
    world.running_town()
    shown = call("sweep_reconcile", terminal=True).err
    assert "sweep_reconcile:   0%|" in shown
    assert heard == [1]


def test_orphans_are_listed_confirmed_and_kept(call: Call, world: World) -> None:
    lost = orphaned(world)
    assert call("orphans", "list").out.strip() == "There is no orphan."
    call("sweep_reconcile")
    assert "Nobody has confirmed that it may go." in call("orphans", "list").out
    assert call("orphans", "confirm", lost).code == 2
    assert Orphan.objects.get().state == "reported"
    [confirmed] = call("orphans", "confirm", lost, "--yes", "--json").json["orphans"]
    assert (confirmed["state"], confirmed["confirmed_by"]) == ("confirmed", "shell")
    assert call("orphans", "confirm", lost, "--yes").code == 1
    assert call("orphans", "keep", lost).code == 0
    assert Orphan.objects.get().state == "reported"
    assert call("orphans", "confirm", "vol_none", "--yes").code == 2


def test_the_gone_are_listed_when_asked_for(call: Call, world: World) -> None:
    lost = orphaned(world)
    call("sweep_reconcile")
    Orphan.objects.update(state="gone")
    assert call("orphans", "list", "--json").json == {"orphans": []}
    assert lost in call("orphans", "list", "--all").out


def test_an_app_that_gives_no_lists_is_named_and_the_others_are_compared(
    call: Call, world: World
) -> None:
    running_in(world, FIRST)
    well = running_in(world, SECOND, "beta")
    world.advance(60)
    world.faults.fail("fly.list_*", Unavailable("No answer."), times=None, app=FIRST)
    with several():
        ended = call("sweep_reconcile", "--json")
        assert ended.code == 1
        assert f"Of app {FIRST} nothing is known: No answer." in ended.err
        assert (ended.json["looked_at"], list(ended.json["unknown_apps"])) == (1, [FIRST])
        assert f"Fly app {SECOND}" in " ".join(call("town", "show", str(well)).out.split())
