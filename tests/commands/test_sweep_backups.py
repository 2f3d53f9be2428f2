"""`manage.py sweep_backups`, and the commands about backups and drills."""

import pytest
from tqdm import tqdm

from tests.commands.conftest import Call
from tests.world import World
from tests.world.asking import ask_and_settle
from tests.world.things import TownData
from towns import automation
from towns.history import Actor
from towns.models import Alert, Backup, Drill, Sweep
from towns.services.errors import Conflict

pytestmark = pytest.mark.django_db


def test_it_works(call: Call, world: World) -> None:
    town = world.running_town()
    done = call("sweep_backups", "--json").json
    assert done["results"] == {"ok": 1}
    assert Sweep.objects.get(kind="backups").finished_at is not None
    assert done["drills"]["drills_begun"] == 1
    again = call("sweep_backups")
    assert "This slot was swept already" in again.out
    named = call("sweep_backups", str(town))
    assert f"snapshot {world.snapshots(town)[0].timestamp} is whole" in named.out


def test_what_is_broken_is_said_and_is_no_failure_of_the_command(call: Call, world: World) -> None:
    town = world.running_town()
    world.snapshots(town)[0].missing_file = True
    ended = call("sweep_backups", str(town))
    assert "config.tar is missing" in ended.out
    assert ended.code == 0


def test_a_town_that_could_not_be_looked_at_is_one(call: Call, world: World) -> None:
    world.running_town()
    world.faults.r2_down = True
    ended = call("sweep_backups")
    assert ended.code == 1
    assert "1 towns could not be looked at: it is unknown." in ended.err


def test_what_drills_left_over_and_could_not_be_removed_is_said(
    call: Call, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = world.running_town()
    ask_and_settle(world, town, "backup")
    drill = ask_and_settle(world, town, "drill")
    Drill.objects.update(cleaned_at=None)

    def refuse(*_: object) -> bool:
        raise Conflict("It is leased.")

    monkeypatch.setattr("towns.flows.left_over.remove_machine", refuse)
    ended = call("sweep_backups", "--json")
    [problem] = ended.json["drills"]["problems"]
    assert problem.startswith(f"drill {drill.pk}: It is leased.")
    assert problem in ended.err.splitlines()


def test_why_drills_were_not_looked_after_is_said(call: Call, world: World) -> None:
    automation.freeze("all", reason="window", actor=Actor("ann"), now=world.now)
    world.running_town()
    assert "Automation is frozen by ann: window" in call("sweep_backups").err.splitlines()


def test_a_dry_run_changes_nothing(call: Call, world: World) -> None:
    town = world.running_town()
    world.snapshots(town)[0].missing_file = True
    assert "config.tar is missing" in call("sweep_backups", "--dry-run").out
    assert not Sweep.objects.exists()
    assert not Backup.objects.exists()
    assert not Alert.objects.exists()
    assert not Drill.objects.exists()


def test_a_terminal_sees_how_far_it_is(
    call: Call, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    monkeypatch.setattr(tqdm, "update", lambda _, count=1: heard.append(count))
    world.running_town()
    assert "sweep_backups:   0%|" in call("sweep_backups", terminal=True).err
    assert heard == [1]


def test_town_drill(call: Call, world: World) -> None:
    town = world.running_town()
    ask_and_settle(world, town, "backup")
    ended = call("town", "drill", str(town), "--json")
    assert ended.json["operation"]["kind"] == "drill"
    assert ended.json["drill"]["result"] == ""
    world.settle()
    shown = call("town", "show", str(town))
    assert "last drill             ok, " in shown.out
    assert call("town", "show", str(town), "--json").json["last_drill"]["result"] == "ok"


def test_a_drill_that_was_called_off_is_no_success(
    call: Call, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = world.running_town()
    ask_and_settle(world, town, "backup")

    def call_off(*_: object, **__: object) -> list[object]:
        ask_and_settle(world, town, "restart")
        return [Drill.objects.get().operation]

    monkeypatch.setattr("towns.management.commands.town.wait_for", call_off)
    ended = call("town", "drill", str(town), "--wait")
    assert ended.code == 1
    assert "Called off: restart was asked for." in ended.err


def test_a_town_without_a_backup_can_not_be_drilled(call: Call, world: World) -> None:
    town = world.running_town()
    ended = call("town", "drill", str(town))
    assert (ended.code, "has no backup yet" in ended.err) == (1, True)


@pytest.mark.parametrize("word", ["--accept", "--drop"])
def test_a_held_snapshot_is_decided_about(call: Call, world: World, word: str) -> None:
    town = world.running_town()
    call("sweep_backups", str(town))
    volume = world.volume(town)
    assert volume.data is not None
    volume.data = TownData(volume.data.marks, volume.data.size // 10)
    world.advance(world.process(town).interval + 10)
    call("sweep_backups", str(town))
    held = Backup.objects.get(held=True)
    ended = call("town", "backup", str(town), word, held.snapshot)
    assert ended.code == 0
    assert held.snapshot in ended.out
    held.refresh_from_db()
    assert held.held == (word == "--drop")
    assert (held.dropped_at is not None) == (word == "--drop")


def test_of_one_town_at_a_time(call: Call, world: World) -> None:
    towns = [str(world.running_town(name)) for name in ("alpha", "beta")]
    assert call("town", "backup", *towns, "--accept", "20260217T120000Z").code == 2
