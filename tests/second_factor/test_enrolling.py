"""Staff without an authenticator are led to enrol one before anything else."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests.second_factor.app import (
    CODE,
    DOORS,
    SET_UP,
    code_of,
    enrolled,
    give_code,
    give_password,
    is_in,
    wrong_code,
)
from towns.second_factor import recovery
from towns.second_factor.authenticator import Offer

pytestmark = pytest.mark.django_db


def offered(client: Client) -> str:
    key: str = client.session["second_factor_key"]
    return key


@pytest.mark.parametrize("door", DOORS)
def test_it_works(client: Client, staff: User, door: str) -> None:
    form = {"username": "ann", "password": "pw", "next": "/admin/towns/town/"}
    answer = client.post(door, form, follow=True)
    assert answer.redirect_chain == [(CODE, 302), (SET_UP, 302)]
    page = answer.content.decode()
    key = offered(client)
    assert Offer(staff, key).typed in page
    assert "otpauth://totp/Gastown%20Ops%3Aann?secret=" in page
    assert '<svg width="' in page
    assert not is_in(client)
    page = client.post(SET_UP, {"code": code_of(key)}).content.decode()
    codes = re.findall(r"<li><code>(\d{4} \d{4} \d{4})</code></li>", page)
    assert len(set(codes)) == 10
    assert "They are shown this once." in page
    assert 'href="/admin/towns/town/"' in page
    assert is_in(client)
    again = Client()
    give_password(again, staff)
    assert give_code(again, codes[3]).status_code == 302
    entry = LogEntry.objects.get()
    assert (entry.user, entry.change_message) == (staff, "Second factor: Enrolled.")


def test_the_confirming_code_is_used_up(client: Client, staff: User) -> None:
    give_password(client, staff)
    client.get(SET_UP)
    code = code_of(offered(client))
    client.post(SET_UP, {"code": code})
    again = Client()
    give_password(again, staff)
    assert give_code(again, code).status_code == 200
    assert not is_in(again)


def test_a_wrong_code_enrols_nothing_and_the_key_stays(client: Client, staff: User) -> None:
    give_password(client, staff)
    client.get(SET_UP)
    key = offered(client)
    page = client.post(SET_UP, {"code": wrong_code(key)}).content.decode()
    assert "That code is wrong" in page
    assert Offer(staff, key).typed in page
    assert not TOTPDevice.objects.exists()
    assert not is_in(client)
    assert client.post(SET_UP, {"code": code_of(key)}).status_code == 200
    assert is_in(client)


def test_the_recovery_codes_are_shown_wherever_they_go_next(client: Client, staff: User) -> None:
    give_password(client, staff, next_url="mill")
    client.get(SET_UP)
    page = client.post(SET_UP, {"code": code_of(offered(client))}).content.decode()
    assert "They are shown this once." in page
    assert 'href="mill"' in page


def test_a_recovery_code_is_none_of_the_app(client: Client, staff: User) -> None:
    give_password(client, staff)
    page = client.post(SET_UP, {"code": "1234 5678 9012"}).content.decode()
    assert "Type the 6 digits that your authenticator app shows." in page


def test_a_password_alone_replaces_no_authenticator(client: Client, staff: User) -> None:
    device = enrolled(staff)
    give_password(client, staff)
    for answer in (client.get(SET_UP), client.post(SET_UP, {"code": "123456"})):
        assert answer["Location"] == CODE
    assert TOTPDevice.objects.get() == device


def test_of_two_who_enrol_at_once_one_does(staff: User) -> None:
    one, other = Client(), Client()
    for client in (one, other):
        give_password(client, staff)
        client.get(SET_UP)
    assert one.post(SET_UP, {"code": code_of(offered(one))}).status_code == 200
    key = offered(other)
    assert other.post(SET_UP, {"code": code_of(key)})["Location"] == CODE
    assert not is_in(other)
    assert TOTPDevice.objects.get().key != key


def test_what_somebody_offered_in_another_session_is_not_offered(staff: User) -> None:
    keys = set()
    for _ in range(2):
        client = Client()
        give_password(client, staff)
        client.get(SET_UP)
        keys.add(offered(client))
    assert len(keys) == 2


def test_pages_with_secrets_are_kept_by_nobody_and_run_nothing_inline(
    client: Client, staff: User
) -> None:
    give_password(client, staff)
    answer = client.get(SET_UP)
    assert "no-store" in answer["Cache-Control"]
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert " style=" not in answer.content.decode()
    answer = client.post(SET_UP, {"code": code_of(offered(client))})
    assert "no-store" in answer["Cache-Control"]


def test_recovery_codes_left_from_before_open_nothing(client: Client, staff: User) -> None:
    old = recovery.renew(staff)[0]
    give_password(client, staff)
    assert give_code(client, old)["Location"] == SET_UP
    client.get(SET_UP)
    client.post(SET_UP, {"code": code_of(offered(client))})
    assert recovery.left(staff) == 10
    again = Client()
    give_password(again, staff)
    assert give_code(again, old).status_code == 200
