"""A lost phone: at the server's shell, or by an administrator."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.test import Client, override_settings

from tests.factories import make_user
from tests.second_factor.app import (
    CODE,
    LOGIN,
    SET_UP,
    code_of,
    enrolled,
    give_code,
    give_password,
    is_in,
    signed_in,
    wrong_code,
)
from towns import checks
from towns.second_factor import recovery
from towns.second_factor.authenticator import authenticator_of

pytestmark = pytest.mark.django_db
USERS = "/admin/auth/user/"


def say(capsys: pytest.CaptureFixture[str], *words: str, **options: Any) -> str:
    call_command("second_factor", *words, **options)
    return capsys.readouterr().out


def test_it_works_from_the_shell(capsys: pytest.CaptureFixture[str], staff: User) -> None:
    enrolled(staff)
    code = recovery.renew(staff)[0]
    client = signed_in(staff)
    assert "ann enrols anew" in say(capsys, "reset", "ann")
    assert not is_in(client), "their sessions end"
    assert recovery.left(staff) == 0
    again = Client()
    assert give_password(again, staff)["Location"] == CODE
    assert give_code(again, code)["Location"] == SET_UP
    again.get(SET_UP)
    again.post(SET_UP, {"code": code_of(again.session["second_factor_key"])})
    assert is_in(again)
    assert not is_in(client), "nor does enrolling anew bring them back"
    reset = LogEntry.objects.get(change_message__contains="Reset")
    assert reset.change_message == "Second factor: Reset from the server's shell."
    assert reset.object_id == str(staff.pk)


def test_who_had_none_is_told(capsys: pytest.CaptureFixture[str], staff: User) -> None:
    assert "ann had no second factor" in say(capsys, "reset", "ann")
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("what", ["reset", "unlock"])
def test_a_name_that_nobody_has(staff: User, what: str) -> None:
    with pytest.raises(CommandError, match="Nobody is called bob") as refused:
        call_command("second_factor", what, "bob")
    assert refused.value.returncode == 2


def test_the_staff_are_listed(capsys: pytest.CaptureFixture[str], staff: User) -> None:
    make_user("alice")
    make_user("bob", is_staff=True)
    enrolled(staff)
    recovery.renew(staff)
    told = say(capsys, "list")
    assert re.search(r"^ann +(just now|\d+ s ago) +never +10$", told, re.M)
    assert re.search(r"^bob +never +never +0$", told, re.M)
    assert "alice" not in told
    facts = json.loads(say(capsys, "list", "--json"))["staff"]
    assert [(one["name"], one["recovery_codes"]) for one in facts] == [("ann", 10), ("bob", 0)]


def test_a_lock_out_is_ended(
    capsys: pytest.CaptureFixture[str], client: Client, staff: User
) -> None:
    device = enrolled(staff)
    for _ in range(5):
        client.post(LOGIN, {"username": "ann", "password": "no"})
    device.throttling_failure_count = 20
    device.save()
    assert give_password(client, staff).status_code == 429
    assert "ann may try again at once" in say(capsys, "unlock", "ann")
    give_password(client, staff)
    assert give_code(client, wrong_code(device.key)).status_code == 200
    say(capsys, "unlock", "ann")
    assert give_code(client, code_of(device.key)).status_code == 302


def make_admin(name: str = "boss") -> User:
    boss = make_user(name, is_staff=True)
    boss.groups.add(Group.objects.get(name="Admin"))
    enrolled(boss)
    return boss


def ask(client: Client, *users: User) -> str:
    form = {"action": "reset_second_factor", "_selected_action": [user.pk for user in users]}
    return client.post(USERS, form, follow=True).content.decode()


def test_an_administrator_resets_another(staff: User) -> None:
    enrolled(staff)
    theirs = signed_in(staff)
    boss = make_admin()
    assert "ann enrols anew at the next sign-in." in ask(signed_in(boss), staff)
    assert authenticator_of(staff) is None
    assert not is_in(theirs)
    reset = LogEntry.objects.get()
    assert (reset.user, reset.change_message) == (boss, "Second factor: Reset.")
    history = signed_in(boss, later=1).get(f"{USERS}{staff.pk}/history/").content.decode()
    assert "Second factor: Reset." in history


def test_but_not_themselves_nor_who_may_do_more(staff: User) -> None:
    boss, root = make_admin(), User.objects.create_superuser("root", password="pw")
    enrolled(root)
    told = ask(signed_in(boss), boss, root, staff)
    assert "boss: replace your own under Second factor." in told
    assert "root may do more than you. Ask a superuser." in told
    assert "ann had no second factor." in told
    assert authenticator_of(boss)
    assert authenticator_of(root)


@pytest.mark.parametrize("group", ["Viewer", "Operator"])
def test_nobody_else_does(staff: User, group: str) -> None:
    enrolled(staff)
    other = make_user("other", is_staff=True)
    other.groups.add(Group.objects.get(name=group))
    enrolled(other)
    form = {"action": "reset_second_factor", "_selected_action": [staff.pk]}
    assert signed_in(other).post(USERS, form).status_code == 403
    assert authenticator_of(staff)


def test_the_list_of_accounts_tells_who_has_one(staff: User) -> None:
    page = signed_in(make_admin()).get(USERS)
    told = {one.username: one.has_second_factor for one in page.context["cl"].result_list}
    assert told == {"ann": False, "boss": True}


def test_a_deployment_without_it_is_warned_about() -> None:
    assert checks.check_signing_in() == []
    with override_settings(GASTOWN_STAFF_TWO_FACTOR=False):
        [warning] = checks.check_signing_in()
    assert warning.id == "gastown.W002"


@pytest.mark.parametrize(("debug", "expected"), [("true", "False"), ("false", "True")])
def test_it_is_on_unless_debug_is(debug: str, expected: str) -> None:
    given = {"DEBUG": debug, "SECRET_KEY": "x" * 50, "GASTOWN_ENV_FILE": ""}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GASTOWN_")}
    code = "from gastown_ops import settings; print(settings.GASTOWN_STAFF_TWO_FACTOR)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == expected
