"""What staff can do with their own second factor later, for one more code."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests.factories import make_user
from tests.second_factor.app import (
    CODE,
    MANAGE,
    SET_UP,
    code_of,
    enrolled,
    give_code,
    give_password,
    is_in,
    signed_in,
    wrong_code,
)
from towns.second_factor import recovery, views
from towns.second_factor.authenticator import enrol, renew_codes, reset

pytestmark = pytest.mark.django_db


def test_it_works(staff: User) -> None:
    enrolled(staff)
    recovery.renew(staff)
    client = signed_in(staff)
    page = client.get(MANAGE).content.decode()
    assert "10 of 10" in page
    page = client.get("/admin/").content.decode()
    for path in (MANAGE, "/admin/password_change/"):
        assert f'href="{path}"' in page, path


def test_new_recovery_codes_end_the_old_ones(staff: User) -> None:
    device = enrolled(staff)
    old = recovery.renew(staff)[0]
    client = signed_in(staff)
    page = client.post(MANAGE, {"what": "codes", "code": code_of(device.key, 1)}).content.decode()
    codes = re.findall(r"<code>(\d{4} \d{4} \d{4})</code>", page)
    assert len(codes) == 10
    again = Client()
    give_password(again, staff)
    assert give_code(again, old).status_code == 200
    assert recovery.left(staff) == 10
    assert LogEntry.objects.get().change_message == "Second factor: Made new recovery codes."


@pytest.mark.parametrize("what", ["codes", "replace"])
def test_the_code_of_signing_in_is_not_enough(staff: User, what: str) -> None:
    device = enrolled(staff)
    code = code_of(device.key)
    client = signed_in(staff)
    kept = list(staff.staticdevice_set.all())  # type: ignore[attr-defined]  # a package without types
    for given in (code, wrong_code(device.key), ""):
        answer = client.post(MANAGE, {"what": what, "code": given})
        assert answer.status_code == 200
        assert 'role="alert"' in answer.content.decode()
    assert client.get(SET_UP).status_code == 302
    assert list(staff.staticdevice_set.all()) == kept  # type: ignore[attr-defined]  # as above


def test_replacing_it_ends_what_was_signed_in_with_the_old_one(staff: User) -> None:
    old = enrolled(staff)
    codes = recovery.renew(staff)
    elsewhere = signed_in(staff)
    client = signed_in(staff, later=1)
    before = client.session.session_key
    answer = client.post(MANAGE, {"what": "replace", "code": codes[0]})
    assert answer["Location"] == SET_UP
    page = client.get(SET_UP).content.decode()
    assert "The authenticator that you have works until" in page
    key = client.session["second_factor_key"]
    page = client.post(SET_UP, {"code": code_of(key)}, follow=True).content.decode()
    assert "From now on only the new authenticator works." in page
    assert is_in(client)
    assert not is_in(elsewhere)
    assert client.session.session_key != before
    assert TOTPDevice.objects.get().key == key != old.key
    assert recovery.left(staff) == 9, "recovery codes stay"
    assert client.get(SET_UP).status_code == 302, "once"


def test_what_was_reset_meanwhile_is_not_replaced(
    staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled(staff)
    codes = recovery.renew(staff)
    client = signed_in(staff)
    client.post(MANAGE, {"what": "replace", "code": codes[0]})
    client.get(SET_UP)

    def enrol_late(device: TOTPDevice, *, replacing: bool) -> list[str]:
        reset(staff, by=None)
        return enrol(device, replacing=replacing)

    monkeypatch.setattr(views, "enrol", enrol_late)
    answer = client.post(SET_UP, {"code": code_of(client.session["second_factor_key"])})
    assert answer["Location"] == "/accounts/login/"
    assert not TOTPDevice.objects.exists()
    assert not is_in(client)


@pytest.mark.django_db(transaction=True)
def test_codes_that_are_renewed_twice_at_once_are_there_once(staff: User) -> None:
    start = threading.Barrier(4)

    def renew(_number: int) -> list[str]:
        try:
            start.wait(30)
            return renew_codes(staff)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(renew, range(4)))
    assert StaticDevice.objects.count() == 1
    assert recovery.left(staff) == 10


def test_nobody_replaces_what_is_somebody_else_s(client: Client, staff: User) -> None:
    enrolled(staff)
    enrolled(make_user("bob", is_staff=True))
    client = signed_in(staff)
    bob = TOTPDevice.objects.get(user__username="bob")
    answer = client.post(MANAGE, {"what": "replace", "code": code_of(bob.key)})
    assert answer.status_code == 200


def test_a_form_that_says_nothing_uses_up_no_code(staff: User) -> None:
    device = enrolled(staff)
    client = signed_in(staff)
    code = code_of(device.key, 1)
    assert client.post(MANAGE, {"what": "destroy", "code": code}).status_code == 200
    answer = client.post(MANAGE, {"what": "replace", "code": code})
    assert answer["Location"] == SET_UP


def test_owners_are_told_that_they_have_none(client: Client) -> None:
    client.force_login(make_user("alice"))
    page = client.get(MANAGE, follow=True).content.decode()
    assert "Only staff have a second factor here." in page


def test_nobody_and_who_is_half_way_are_sent_to_sign_in(client: Client, staff: User) -> None:
    enrolled(staff)
    assert client.get(MANAGE)["Location"].startswith("/accounts/login/")
    give_password(client, staff)
    assert client.get(MANAGE)["Location"].startswith("/accounts/login/")
    assert client.get(CODE).status_code == 200
