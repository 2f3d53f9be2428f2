"""`manage.py automation`: the red button."""

from datetime import timedelta

import pytest

from tests.commands.conftest import Call
from tests.world import World
from towns import automation
from towns.models import Breaker, Freeze, MaintenanceWindow

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
    assert (breaker["scope"], breaker["state"]) == ("region:ams", "open")
    assert (breaker["reason"], found["windows"]) == ("61 % fail", [])
    assert "breaker open: region:ams: 61 % fail" in call("automation", "status").out


def test_a_maintenance_window_is_planned_shown_and_ended(call: Call, world: World) -> None:
    words = ("--scope", "region:ams", "--reason", "new hosts")
    told = call("automation", "maintenance", *words, "--minutes", "30").out
    window = MaintenanceWindow.objects.get()
    assert (window.since, window.until) == (world.now, world.now + timedelta(minutes=30))
    assert told.startswith(f"Planned: window {window.pk}.\nmaintenance {window.pk}: region:ams")
    [shown] = call("automation", "status", "--json").json["windows"]
    assert (shown["id"], shown["reason"]) == (window.pk, "new hosts")
    assert call("automation", "maintenance", "--end", str(window.pk)).code == 0
    assert "Automation runs" in call("automation", "status").out
    assert call("automation", "maintenance", "--end", str(window.pk)).code == 2


def test_a_window_lies_ahead_and_is_about_one_town(call: Call, world: World) -> None:
    town = world.create_town("mill")
    since, until = "2026-02-17T22:00Z", "2026-02-17T23:30"
    words = ("--from", since, "--until", until, "--reason", "upgrade")
    call("automation", "maintenance", "--scope", "town:ada/mill", *words)
    window = MaintenanceWindow.objects.get()
    assert window.scope == f"town:{town.pk}"
    assert (window.since.hour, window.until.hour, window.until.minute) == (22, 23, 30)
    shown = call("automation", "status").out
    assert "from 2026-02-17 22:00:00 UTC until 2026-02-17 23:30:00 UTC" in shown


@pytest.mark.parametrize(
    "words",
    [
        ("--minutes", "5", "--reason", "x"),
        ("--scope", "fleet", "--reason", "x"),
        ("--scope", "fleet", "--minutes", "5"),
        ("--scope", "fleet", "--minutes", "0", "--reason", "x"),
        ("--scope", "regions", "--minutes", "5", "--reason", "x"),
        ("--scope", "town:nobody", "--minutes", "5", "--reason", "x"),
        ("--scope", "fleet", "--until", "soon", "--reason", "x"),
    ],
)
def test_a_senseless_window_is_bad_usage(call: Call, words: tuple[str, ...]) -> None:
    assert call("automation", "maintenance", *words).code == 2
    assert not MaintenanceWindow.objects.exists()


@pytest.mark.parametrize("option", ["--from", "--until"])
def test_what_is_no_time_is_answered_with_how_to_write_one(call: Call, option: str) -> None:
    ended = call("automation", "maintenance", "--scope", "fleet", option, "soon", "--reason", "x")
    assert ended.code == 2
    assert "write a time such as 2026-02-17T12:00Z" in ended.err
    assert "_moment" not in ended.err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["freeze"],
        ["freeze", "--reason", "x", "--minutes", "0"],
        ["freeze", "--reason", "x", "--minutes", "1000000000000"],
        ["freeze", "--reason", " "],
        ["freeze", "--reason", "x", "--minutes", "-1"],
        ["freeze", "--reason", "x", "--scope", "towns"],
    ],
    ids=" ".join,
)
def test_bad_usage_freezes_nothing(call: Call, words: list[str]) -> None:
    ended = call("automation", *words)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert not Freeze.objects.exists()
