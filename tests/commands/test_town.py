"""`manage.py town …`."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.commands.conftest import Call
from tests.factories import NOW, make_operation, make_town, make_user
from tests.world import World
from towns.models import Operation, Town
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def town() -> Town:
    return make_town(owner=make_user("alice"), name="harbour")


def test_it_works(call: Call, town: Town) -> None:
    ended = call("town", "list")
    assert (ended.code, ended.err) == (0, "")
    heads, line = ended.out.splitlines()
    assert heads.split("  ")[0] == "TOWN"
    assert line.startswith("alice/harbour")
    assert "running" in line


def test_json_is_one_document_and_nothing_else(call: Call, town: Town) -> None:
    found = call("town", "list", "--json").json
    assert [one["name"] for one in found["towns"]] == ["harbour"]
    assert call("town", "show", "harbour", "--json").json["id"] == str(town.pk)


@pytest.mark.parametrize("name", ["harbour", "alice/harbour", "id"])
def test_a_town_is_named_by_name_owner_and_name_or_id(call: Call, town: Town, name: str) -> None:
    ended = call("town", "show", str(town.pk) if name == "id" else name)
    assert (ended.code, "alice/harbour" in ended.out) == (0, True)


def test_an_unknown_town_is_one_clear_line(call: Call) -> None:
    ended = call("town", "stop", "nowhere")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "There is no town nowhere. `manage.py town list` shows them.\n"


def test_a_name_that_two_have_needs_its_owner(call: Call, town: Town) -> None:
    make_town(owner=make_user("bob"), name="harbour")
    ended = call("town", "stop", "harbour")
    assert ended.code == 2
    assert "alice/harbour" in ended.err
    assert "bob/harbour" in ended.err


def test_the_living_are_meant_before_the_destroyed(call: Call, town: Town) -> None:
    make_town(
        owner=town.owner, name="harbour", status=Status.DESTROYED, destroyed_at=timezone.now()
    )
    assert call("town", "show", "alice/harbour", "--json").json["id"] == str(town.pk)


def test_a_wrong_status_is_one_clear_line(call: Call, town: Town) -> None:
    ended = call("town", "start", "harbour")
    assert (ended.code, ended.err) == (1, "alice/harbour is running already.\n")


def test_bad_usage_is_2(call: Call, town: Town) -> None:
    assert call("town", "nonsense").code == 2
    assert call("town", "stop").code == 2
    assert call("town", "destroy", "harbour").code == 2
    assert call("town", "create", "noslash").code == 2
    assert call("town", "create", "alice/No!").code == 2
    assert call("town", "set", "harbour").code == 2
    assert call("town", "set", "harbour", "--idle-timeout", "3").code == 2
    assert not Operation.objects.exists()


def test_destroy_wants_to_be_meant(call: Call, town: Town) -> None:
    ended = call("town", "destroy", "harbour")
    assert ended.err == "alice/harbour would be destroyed. Add --yes if you mean it.\n"


def test_create_waits_and_makes_the_owner(call: Call) -> None:
    ended = call("town", "create", "carol/mill", "--region", "ams", "--wait", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["town"]["status"] == "running"
    assert ended.json["operation"]["state"] == "succeeded"
    owner = User.objects.get(username="carol")
    assert not owner.has_usable_password()
    assert Town.objects.get().region == "ams"


def test_a_whole_life_by_hand(call: Call) -> None:
    call("town", "create", "carol/mill", "--wait")
    for words, status in (
        (("backup", "mill"), "running"),
        (("restart", "mill"), "running"),
        (("stop", "mill"), "stopped"),
        (("start", "mill"), "running"),
        (("destroy", "mill", "--yes"), "destroyed"),
        (("restore", "mill"), "running"),
    ):
        ended = call("town", *words, "--wait", "--json")
        assert ended.code == 0, ended.err
        assert ended.json["town"]["status"] == status, words


def test_wait_exits_by_the_result(call: Call, world: World) -> None:
    call("town", "create", "carol/mill", "--wait")
    town = Town.objects.get()
    world.lose_machine(town)
    ended = call("town", "stop", "mill", "--wait")
    assert ended.code == 1
    assert ended.err.startswith("carol/mill: stop failed. Fly has no machine of this town")


def test_on_a_terminal_waiting_shows_the_steps(call: Call) -> None:
    ended = call("town", "create", "carol/mill", "--wait", terminal=True)
    assert ended.out == "carol/mill: provision succeeded; it is running.\n"
    steps = ended.err.splitlines()
    assert steps[0].startswith("  carol/mill provision: ensure volume: ")
    assert steps[-1].startswith("  carol/mill provision: await healthy: ")
    assert call("town", "stop", "mill", "--wait", "--json", terminal=True).err == ""


def test_who_stops_waiting_is_told_what_goes_on(
    call: Call, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("towns.management.commands.town.wait_for", interrupted)
    ended = call("town", "stop", "harbour", "--wait")
    assert (ended.code, ended.out) == (130, "")
    assert ended.err.startswith("Interrupted. What was asked for stays so")
    assert Operation.objects.get().is_open


def test_several_are_waited_for(call: Call, world: World) -> None:
    for name in ("mill", "quay"):
        world.running_town(name)
    ended = call("town", "stop", "mill", "quay", "--wait")
    assert ended.out.splitlines() == [
        "ada/mill: stop succeeded; it is stopped.",
        "ada/quay: stop succeeded; it is stopped.",
    ]


def test_without_wait_it_only_asks(call: Call, town: Town) -> None:
    ended = call("town", "stop", "harbour")
    assert (ended.code, ended.out) == (0, "alice/harbour: stop is under way.\n")
    assert Operation.objects.get().actor == "shell"


def test_several_at_once_tell_who_was_refused(call: Call, town: Town) -> None:
    make_town(owner=town.owner, name="mill", status=Status.STOPPED)
    ended = call("town", "stop", "harbour", "mill")
    assert ended.code == 1
    assert "alice/harbour: stop is under way." in ended.out
    assert "alice/mill is stopped already." in ended.err


def test_a_hold_has_its_time(call: Call, world: World) -> None:
    world.create_town("mill")
    told = call("town", "set", "mill", "--hold", "look", "--for", "30").out
    assert "on hold                look (until 2026-02-17 12:30:00 UTC)" in told
    assert Town.objects.get().hold_until == world.now + timedelta(minutes=30)
    world.advance(1801)
    assert "on hold" not in call("town", "show", "mill").out
    assert call("town", "set", "mill", "--for", "30").code == 2
    assert call("town", "set", "mill", "--hold", "x", "--for", "0").code == 2
    call("town", "set", "mill", "--release")
    assert Town.objects.filter(hold_reason="", hold_until=None).exists()


def test_settings_are_changed(call: Call, town: Town) -> None:
    words = ["--idle-timeout", "60", "--auto-stop", "off", "--keep-awake", "90", "--hold", "look"]
    assert call("town", "set", "harbour", *words).code == 0
    town.refresh_from_db()
    assert (town.idle_timeout_minutes, town.auto_stop) == (60, False)
    assert (town.hold_reason, town.keep_awake_until is not None) == ("look", True)
    call("town", "set", "harbour", "--release", "--keep-awake", "0", "--clear-restarts")
    town.refresh_from_db()
    assert (town.hold_reason, town.keep_awake_until) == ("", None)
    assert town.restarts_cleared_at is not None


def test_lists_are_filtered(call: Call, town: Town) -> None:
    make_town(owner=make_user("bob"), name="mill", status=Status.STOPPED)
    gone = timezone.now()
    make_town(owner=town.owner, name="gone", status=Status.DESTROYED, destroyed_at=gone)

    def names(*words: str) -> set[str]:
        return {one["name"] for one in call("town", "list", *words, "--json").json["towns"]}

    assert names() == {"harbour", "mill"}
    assert names("--owner", "alice", "--destroyed") == {"harbour", "gone"}
    assert names("--status", "stopped") == {"mill"}


def test_no_towns_say_what_to_do(call: Call) -> None:
    assert "town create" in call("town", "list").out


def test_a_list_fits_in_80_columns(call: Call, world: World) -> None:
    make_town(
        owner=make_user("alexandra"),
        name="a-town-with-a-name",
        status=Status.PROVISIONING,
        last_result="failed",
        consecutive_failures=12,
        last_interaction_at=world.now - timedelta(hours=23, minutes=59),
    )
    ended = call("town", "list")
    assert "failed 12x" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80, ended.out


def test_show_tells_why_it_is_awake_and_until_when(call: Call, world: World) -> None:
    town = make_town(
        owner=make_user("alice"),
        name="harbour",
        awake_since=world.now - timedelta(hours=2),
        last_interaction_at=world.now - timedelta(minutes=10),
        last_interaction_kind="visit",
        last_checked_at=world.now,
        last_result="ok",
        health={"polecats_active": 0, "disk_used": 1_200_000_000, "disk_total": 50_000_000_000},
    )
    text = " ".join(call("town", "show", "harbour").out.split())
    for shown in (
        f"alice/harbour ({town.pk})",
        "awake because of interaction",
        "(in 20 min)",
        "last interaction 10 min ago visit",
        "1.2 GB of 50.0 GB (2 %)",
    ):
        assert shown in text, shown


def test_show_tells_why_it_was_stopped_and_until_when_it_can_be_restored(
    call: Call, town: Town
) -> None:
    make_town(owner=town.owner, name="asleep", status=Status.STOPPED, stop_reason="idle")
    assert "(stopped: idle)" in call("town", "show", "asleep").out
    make_town(owner=town.owner, name="gone", status=Status.DESTROYED, destroyed_at=NOW)
    assert "2026-03-19 12:00:00 UTC" in call("town", "show", "gone").out


def test_show_tells_what_is_under_way(call: Call, town: Town) -> None:
    make_operation(town, OperationKind.STOP, step="await_stopped", attempt=2, message="Fly: 503")
    assert "await stopped, failed 2x. Fly: 503" in call("town", "show", "harbour").out


def test_recover_can_give_a_volume_up(call: Call) -> None:
    make_town(name="mill", status=Status.ERROR)
    assert call("town", "recover", "mill", "--from-backup").code == 0
    assert Operation.objects.get().params == {"from_backup": True}


def test_destroy_can_discard(call: Call, town: Town) -> None:
    assert call("town", "destroy", "harbour", "--yes", "--discard-data", "--reason", "r").code == 0
    operation = Operation.objects.get()
    assert (operation.params, operation.reason) == ({"discard": True}, "r")


def test_a_name_that_is_taken_is_refused(call: Call, town: Town) -> None:
    ended = call("town", "create", "alice/harbour")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "alice already has a town named harbour. Choose another name.\n"


def test_a_refused_create_makes_no_owner(call: Call) -> None:
    for words in (["carol/No!"], ["carol/mill", "--region", "x"], [f"{'c' * 151}/mill"]):
        assert call("town", "create", *words).code == 2
    assert not User.objects.exists()


def test_towns_by_an_id_that_nobody_has(call: Call) -> None:
    ended = call("town", "show", "00000000-0000-0000-0000-000000000000")
    assert (ended.code, ended.err.startswith("There is no town 00000000-")) == (2, True)


def test_all_the_dead_of_a_name_are_told_with_their_ids(call: Call) -> None:
    owner = make_user("alice")
    gone = [
        make_town(owner=owner, name="old", status=Status.DESTROYED, destroyed_at=NOW)
        for _ in range(2)
    ]
    ended = call("town", "restore", "alice/old")
    assert ended.code == 2
    for town in gone:
        assert str(town.pk) in ended.err
