"""A town's machine and volume as Fly describes them."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from tests.admin.conftest import admin, awake_town, page
from tests.factories import NOW
from towns.models import Town
from towns.services.errors import NotFound, Unavailable
from towns.services.fly_types import Machine, MachineExit, Volume
from towns.town_page.at_fly import ask_fly

__all__ = ["admin"]  # a fixture
pytestmark = pytest.mark.django_db
MACHINE = Machine(
    "d8901",
    "mill",
    "stopped",
    "ams",
    host_status="unreachable",
    created_at=NOW,
    last_exit=MachineExit(137, oom_killed=True, requested_stop=False, at=NOW),
    cpu_kind="shared",
    cpus=4,
    memory_mb=8192,
)
VOLUME = Volume("vol_1", "mill", "created", "ams", size_gb=50)


@dataclass
class OneOfEach:
    """A Fly with one machine and one volume, each an answer or an error."""

    machine: Machine | Exception = MACHINE
    volume: Volume | Exception = VOLUME
    asked: int = 0
    app: str = ""

    def of(self, app: str) -> "OneOfEach":
        """The same of any app."""
        self.app = app
        return self

    def get_machine(self, machine_id: str) -> Machine:
        """Whatever id is asked for."""
        self.asked += 1
        if isinstance(self.machine, Exception):
            raise self.machine
        return self.machine

    def get_volume(self, volume_id: str) -> Volume:
        """Whatever id is asked for."""
        self.asked += 1
        if isinstance(self.volume, Exception):
            raise self.volume
        return self.volume


def asked(fly: Any, town: Town) -> tuple[dict[str, str], dict[str, str], list[str]]:
    machine, volume = ask_fly(town, fly)
    return dict(machine.facts), dict(volume.facts), [machine.told, volume.told]


def test_it_works() -> None:
    machine, volume, told = asked(OneOfEach(), awake_town())
    assert machine == {
        "State": "stopped",
        "Host": "unreachable",
        "Size": "4 shared CPUs, 8192 MB of memory",
        "Region": "ams",
        "Name": "mill",
        "Made": "2026-02-17 12:00:00 UTC",
        "Last exit": "out of memory 2026-02-17 12:00:00 UTC",
    }
    assert volume == {
        "State": "created",
        "Host": "ok",
        "Size": "50.0 GB",
        "Attached to": "no machine",
        "Region": "ams",
        "Name": "mill",
    }
    assert told == ["", ""]


def test_what_fly_does_not_say_is_left_out() -> None:
    bare = replace(MACHINE, cpus=None, last_exit=None, created_at=None, region="")
    machine, _, _ = asked(OneOfEach(bare), awake_town())
    assert list(machine) == ["State", "Host", "Name"]


def test_what_is_not_there_is_told() -> None:
    fly = OneOfEach(NotFound("gone"), Unavailable("Fly did not answer."))
    machine, volume, told = asked(fly, awake_town(machine_id="d8902"))
    assert machine == volume == {}
    assert told[0] == "Fly knows none with the id d8902."
    assert told[1].startswith("Fly did not answer.")
    assert asked(fly, awake_town(machine_id="", volume_id=""))[2] == ["The town has none."] * 2
    assert fly.asked == 2


@pytest.fixture
def fly(monkeypatch: pytest.MonkeyPatch) -> OneOfEach:
    """What the town's page asks."""
    fly = OneOfEach()
    monkeypatch.setattr("towns.admin.town_page.default_services", lambda: SimpleNamespace(fly=fly))
    return fly


def test_the_page_asks_when_somebody_wants_to_know(admin: Client, fly: OneOfEach) -> None:
    path = f"/admin/towns/town/{awake_town().pk}/change/"
    text = page(admin, path)
    assert "Ask Fly now" in text
    assert fly.asked == 0
    assert "<dt>Host</dt><dd>unreachable</dd>" in page(admin, f"{path}?fly=1")
    assert fly.asked == 2
    admin.get(f"{path}?fly=1", headers={"X-Refresh": "1"})
    assert fly.asked == 2, "a page that refreshes itself asks Fly nothing"
