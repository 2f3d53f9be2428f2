"""`manage.py town …`."""

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.commands.conftest import Call
from tests.factories import make_town, make_user
from tests.world import World
from towns.models import Operation, Town
from towns.words import Status

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
