"""`manage.py automation`: the red button."""

from datetime import timedelta

import pytest

from tests.commands.conftest import Call
from tests.world import World
from towns import automation
from towns.models import Breaker, Freeze

pytestmark = pytest.mark.django_db


def test_it_works(call: Call, world: World) -> None:
    runs = "Automation runs: no freeze, no open breaker.\n"
    assert call("automation", "status").out == runs
    call("automation", "freeze", "--reason", "window")
    assert automation.frozen(world.now) == "Automation is frozen by shell: window"
    assert call("automation", "thaw").out == "Thawed: all.\n" + runs
    assert automation.frozen(world.now) is None


def test_a_freeze_has_its_time(call: Call, world: World) -> None:
    call("automation", "freeze", "--reason", "window", "--minutes", "5")
    assert Freeze.objects.get().until == world.now + timedelta(minutes=5)
    world.advance(301)
    assert "no freeze" in call("automation", "status").out


def test_recovery_alone_is_frozen(call: Call, world: World) -> None:
    call("automation", "freeze", "--scope", "recovery", "--reason", "window")
    assert automation.frozen(world.now) is None
    assert "frozen: recovery, by shell" in call("automation", "status").out
    assert call("automation", "thaw").out.startswith("There was no freeze of the scope all.\n")
    assert call("automation", "thaw", "--scope", "recovery").out.startswith("Thawed: recovery.\n")


def test_status_as_json(call: Call, world: World) -> None:
    call("automation", "freeze", "--reason", "window")
    Breaker.objects.create(
        scope="region:ams", state="open", reason="61 % fail", opened_at=world.now
    )
    found = call("automation", "status", "--json").json
    [freeze], [breaker] = found["freezes"], found["breakers"]
    assert (freeze["scope"], freeze["reason"], freeze["until"]) == ("all", "window", None)
    assert breaker == {"scope": "region:ams", "state": "open", "reason": "61 % fail"}
    assert "breaker open: region:ams: 61 % fail" in call("automation", "status").out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["freeze"],
        ["freeze", "--reason", "x", "--minutes", "0"],
        ["freeze", "--reason", "x", "--minutes", "-1"],
        ["freeze", "--reason", "x", "--scope", "towns"],
    ],
    ids=" ".join,
)
def test_bad_usage_freezes_nothing(call: Call, words: list[str]) -> None:
    ended = call("automation", *words)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert not Freeze.objects.exists()
