"""A password and a code, at both doors."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client, override_settings
from django.utils import timezone

from tests.factories import make_user
from tests.second_factor.app import (
    CODE,
    DOORS,
    LOGIN,
    SET_UP,
    code_of,
    enrolled,
    give_code,
    give_password,
    is_in,
    signed_in,
    wait_it_out,
    wrong_code,
)
from towns.second_factor import pending, recovery

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("door", DOORS)
def test_it_works(client: Client, staff: User, door: str) -> None:
    device = enrolled(staff)
    answer = give_password(client, staff, door)
    assert (answer.status_code, answer["Location"]) == (302, CODE)
    assert "_auth_user_id" not in client.session, "nobody is signed in by a password alone"
    assert not is_in(client)
    answer = give_code(client, code_of(device.key))
    assert answer["Location"] == ("/" if door == LOGIN else "/admin/")
    assert is_in(client)
    staff.refresh_from_db()
    assert staff.last_login is not None


@pytest.mark.parametrize("door", DOORS)
def test_where_they_wanted_to_go_is_kept(client: Client, staff: User, door: str) -> None:
    device = enrolled(staff)
    give_password(client, staff, door, next_url="/admin/towns/town/?q=mill")
    answer = give_code(client, code_of(device.key))
    assert answer["Location"] == "/admin/towns/town/?q=mill"


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example/", "javascript:x()"])
def test_nobody_is_led_elsewhere(client: Client, staff: User, door: str, evil: str) -> None:
    device = enrolled(staff)
    give_password(client, staff, door, next_url=evil)
    answer = client.post(f"{CODE}?next={evil}", {"code": code_of(device.key), "next": evil})
    assert answer["Location"] in ("/", "/admin/")


def test_a_word_is_an_address_like_others(client: Client, staff: User) -> None:
    device = enrolled(staff)
    give_password(client, staff, next_url="mill")
    assert give_code(client, code_of(device.key))["Location"] == "mill"


def test_the_session_has_a_new_key_after_each_step(client: Client, staff: User) -> None:
    device = enrolled(staff)
    client.get(LOGIN)
    session = client.session
    session["known"] = "to somebody else"
    session.save()
    keys = [session.session_key]
    give_password(client, staff)
    keys.append(client.session.session_key)
    give_code(client, code_of(device.key))
    keys.append(client.session.session_key)
    assert len(set(keys)) == 3


@pytest.mark.parametrize("code", ["", "12345", "abcdef", "١٢٣٤٥٦", "1234567"])
def test_what_is_no_code_is_told_and_not_counted(client: Client, staff: User, code: str) -> None:
    device = enrolled(staff)
    give_password(client, staff)
    page = give_code(client, code).content.decode()
    assert "Type the 6 digits" in page
    device.refresh_from_db()
    assert device.throttling_failure_count == 0
    assert give_code(client, code_of(device.key)).status_code == 302


def test_a_wrong_code_lets_nobody_in(client: Client, staff: User) -> None:
    device = enrolled(staff)
    give_password(client, staff)
    answer = give_code(client, wrong_code(device.key))
    assert answer.status_code == 200
    assert "That code is wrong, too old, or was used already" in answer.content.decode()
    assert not is_in(client)


def test_blanks_in_a_code_do_not_matter(client: Client, staff: User) -> None:
    code = code_of(enrolled(staff).key)
    give_password(client, staff)
    assert give_code(client, f" {code[:3]} {code[3:]} ").status_code == 302


def test_a_code_works_once(client: Client, staff: User) -> None:
    device = enrolled(staff)
    code = code_of(device.key)
    signed_in(staff)
    give_password(client, staff)
    answer = give_code(client, code)
    assert "used already" in answer.content.decode()
    assert not is_in(client)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_sent_several_times_at_once_it_is_right_once(staff: User, kind: str) -> None:
    device = enrolled(staff)
    recovery_code = recovery.renew(staff)[0].replace(" ", "")
    code = code_of(device.key) if kind == "app" else recovery_code
    start = threading.Barrier(4)

    def send(_number: int) -> bool:
        client = Client()
        try:
            give_password(client, staff)
            start.wait(30)
            return bool(give_code(client, code).status_code == 302)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(send, range(4))) == 1


def test_nor_does_an_earlier_one_after_a_later_one(client: Client, staff: User) -> None:
    device = enrolled(staff)
    signed_in(staff, later=1)
    give_password(client, staff)
    assert give_code(client, code_of(device.key)).status_code == 200


def test_a_code_of_somebody_else_is_wrong(client: Client, staff: User) -> None:
    enrolled(staff)
    other = enrolled(make_user("bob", is_staff=True))
    give_password(client, staff)
    assert give_code(client, code_of(other.key)).status_code == 200
    assert not is_in(client)


def test_a_recovery_code_works_once(client: Client, staff: User) -> None:
    enrolled(staff)
    code = recovery.renew(staff)[0]
    give_password(client, staff, next_url="/dashboard/")
    page = client.post(CODE, {"code": code}, follow=True).content.decode()
    assert "You signed in with a recovery code; 9 of 10 are left." in page
    assert is_in(client)
    again = Client()
    give_password(again, staff)
    assert "That is none of your recovery codes" in give_code(again, code).content.decode()
    assert not is_in(again)


def test_a_recovery_code_is_its_owner_s(client: Client, staff: User) -> None:
    enrolled(staff)
    recovery.renew(staff)
    bob = make_user("bob", is_staff=True)
    enrolled(bob)
    code = recovery.renew(bob)[0]
    give_password(client, staff)
    assert give_code(client, code).status_code == 200
    assert recovery.left(bob) == 10


def test_what_is_kept_of_recovery_codes_is_none(staff: User) -> None:
    codes = [code.replace(" ", "") for code in recovery.renew(staff)]
    kept = staff.staticdevice_set.get().token_set.values_list("token", flat=True)  # type: ignore[attr-defined]  # of a package without types
    assert not set(codes) & set(kept)
    assert len(set(kept)) == len(set(codes)) == 10


def test_who_waits_too_long_begins_again(
    client: Client, staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = enrolled(staff)
    give_password(client, staff)
    monkeypatch.setattr(pending, "KEPT", timedelta(seconds=-1))
    answer = client.post(CODE, {"code": code_of(device.key)}, follow=True)
    assert answer.redirect_chain == [(LOGIN, 302)]
    assert "Sign in again." in answer.content.decode()
    monkeypatch.undo()
    assert client.get(CODE)["Location"] == LOGIN, "what was noted is gone"


@pytest.mark.parametrize("change", ["password", "closed"])
def test_an_account_that_changed_begins_again(client: Client, staff: User, change: str) -> None:
    device = enrolled(staff)
    give_password(client, staff)
    staff.is_active = change != "closed"
    staff.set_password("another")
    staff.save()
    assert give_code(client, code_of(device.key))["Location"] == LOGIN
    assert not is_in(client)


def test_a_code_alone_is_nothing(client: Client, staff: User) -> None:
    device = enrolled(staff)
    for path in (CODE, SET_UP):
        assert client.get(path)["Location"] == LOGIN
        assert client.post(path, {"code": code_of(device.key)})["Location"] == LOGIN


def test_nobody_is_half_way_in_once_somebody_else_is_in(client: Client, staff: User) -> None:
    give_password(client, staff)
    give_password(client, make_user("alice"))
    assert client.get("/dashboard/").status_code == 200
    for path in (CODE, SET_UP):
        assert client.get(path)["Location"] == LOGIN, path


def test_owners_need_no_code(client: Client) -> None:
    owner = make_user("alice")
    assert give_password(client, owner)["Location"] == "/"
    assert client.get("/dashboard/").status_code == 200


def test_off_a_password_is_enough(client: Client, staff: User) -> None:
    with override_settings(GASTOWN_STAFF_TWO_FACTOR=False):
        give_password(client, staff)
        assert is_in(client)
        assert client.get(CODE).status_code == 404
    assert not is_in(client), "and when it is turned on, that session is nobody's"


def test_a_superuser_who_is_no_staff_needs_one_too(client: Client) -> None:
    root = make_user("root", is_superuser=True)
    assert give_password(client, root)["Location"] == CODE


def test_who_goes_to_the_admin_s_door_while_in_is_let_in(staff: User) -> None:
    enrolled(staff)
    assert signed_in(staff).get("/admin/login/")["Location"] == "/admin/"


def test_after_a_wrong_code_the_next_waits_longer_each_time(client: Client, staff: User) -> None:
    device = enrolled(staff)
    device.throttling_failure_count, device.throttling_failure_timestamp = 9, timezone.now()
    device.save()
    give_password(client, staff)
    page = give_code(client, code_of(device.key)).content.decode()
    assert "Try again in 4 min." in page
    wait_it_out(staff)
    assert give_code(client, code_of(device.key)).status_code == 302
    device.refresh_from_db()
    assert device.throttling_failure_count == 0
