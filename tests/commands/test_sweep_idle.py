"""`manage.py sweep_idle`."""

from datetime import timedelta

import pytest
from tqdm import tqdm

from tests.commands.conftest import Call
from tests.factories import make_town
from tests.world import World
from towns.models import Operation, Town
from towns.words import Status

pytestmark = pytest.mark.django_db


def test_sweep_idle_says_what_holds_a_town(call: Call, world: World) -> None:
    town = world.running_town()
    ended = call("sweep_idle", str(town))
    assert f"{town} stays awake: interaction, until" in ended.out


def test_sweep_idle_dry_run_stops_nobody(call: Call, world: World) -> None:
    long_ago = world.now - timedelta(hours=3)
    make_town(
        last_interaction_at=long_ago,
        awake_since=long_ago,
        last_checked_at=world.now,
        last_result="ok",
        health={"polecats_active": 0},
    )
    assert call("sweep_idle", "--dry-run", "--json").json["stopped"] == 1
    assert not Operation.objects.exists()
    assert call("sweep_idle", "--json").json["stopped"] == 1
    assert Town.objects.get().status == Status.STOPPING


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
@pytest.mark.parametrize("command", ["sweep_idle", "sweep_health"])
def test_a_terminal_sees_how_far_it_is(
    call: Call,
    world: World,
    command: str,
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bar itself shows every tenth of a second what it has heard by then."""
    heard: list[int] = []
    monkeypatch.setattr(tqdm, "update", lambda _, count=1: heard.append(count))
    world.running_town()
    shown = call(command, *words, terminal=True).err
    assert f"{command}:   0%|" in shown
    assert "0/1" in shown
    assert heard == [1]
