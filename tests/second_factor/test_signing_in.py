"""Two-factor login: staff get nowhere by a password alone."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client, override_settings
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests.access.addresses import all_patterns
from tests.access.people import make_scene
from tests.factories import make_user
from towns.second_factor import devices
from towns.second_factor.gate import OPEN, is_given

pytestmark = pytest.mark.django_db
ASK, ENROL, CODES = (f"/accounts/second-factor/{after}" for after in ("", "enrol/", "codes/"))
DOORS = ["/accounts/login/", "/admin/login/"]


@pytest.fixture(autouse=True)
def _on() -> Iterator[None]:
    with override_settings(GASTOWN_STAFF_TWO_FACTOR=True):
        yield


@pytest.fixture
def bob() -> User:
    """An operator without an authenticator."""
    user = make_user("bob", is_staff=True)
    user.groups.add(Group.objects.get(name="Operator"))
    return user


@pytest.fixture
def device(bob: User) -> TOTPDevice:
    """Bob's, who has one now."""
    return TOTPDevice.objects.create(user=bob, name="authenticator")


def code(device: TOTPDevice, drift: int = 0) -> str:
    """What the app shows, now or in 30 s."""
    return f"{totp(device.bin_key, drift=drift):06}"


def signed_in(door: str = DOORS[0]) -> Client:
    client = Client()
    answer = client.post(f"{door}?next=/admin/towns/town/", {"username": "bob", "password": "pw"})
    assert answer.status_code == 302
    return client


@pytest.mark.parametrize("door", DOORS)
def test_it_works(device: TOTPDevice, door: str) -> None:
    client = signed_in(door)
    answer = client.get("/admin/towns/town/?q=x")
    assert answer["Location"] == f"{ASK}?next=%2Fadmin%2Ftowns%2Ftown%2F%3Fq%3Dx"
    before = client.session.session_key
    shown = code(device)
    answer = client.post(answer["Location"], {"code": f"{shown[:3]} {shown[3:]}"})
    assert answer["Location"] == "/admin/towns/town/?q=x"
    assert client.session.session_key != before
    assert client.get("/admin/towns/town/").status_code == 200
    assert client.get("/api/v1/towns").status_code == 200


def test_who_has_none_sets_one_up(bob: User) -> None:
    client = signed_in()
    assert client.get(ASK)["Location"].startswith(ENROL)
    page = client.get(f"{ENROL}?next=/admin/").content.decode()
    device = TOTPDevice.objects.get(user=bob, confirmed=False)
    key = re.search(r"<code>([A-Z2-7 ]+)</code>", page)
    assert key
    assert len(key[1].replace(" ", "")) == 32
    assert "data:image/svg+xml" in page
    wrong = client.post(ENROL, {"code": "000000" if code(device) != "000000" else "111111"})
    assert wrong.status_code == 422
    assert "That code is wrong" in wrong.content.decode()
    assert client.get("/admin/").status_code == 302
    device.refresh_from_db()
    device.throttle_reset()
    page = client.post(ENROL, {"code": code(device), "next": "/admin/"}).content.decode()
    codes = re.findall(r"<li><code>(\w+)</code>", page)
    assert len(set(codes)) == devices.CODES
    assert client.get("/admin/towns/town/").status_code == 200
    assert "10 recovery codes left" in client.get(CODES).content.decode()
    assert codes[0] not in client.get(CODES).content.decode(), "shown once"

    other = signed_in()
    assert other.post(ASK, {"code": codes[0]}).status_code == 302
    assert other.get("/admin/").status_code == 200
    third = signed_in()
    assert third.post(ASK, {"code": codes[0]}).status_code == 422, "each is good once"


def test_a_code_is_good_once(device: TOTPDevice) -> None:
    shown = code(device)
    assert signed_in().post(ASK, {"code": shown}).status_code == 302
    again = signed_in()
    assert again.post(ASK, {"code": shown}).status_code == 422
    assert again.get("/admin/").status_code == 302
    device.refresh_from_db()
    device.throttle_reset()
    assert again.post(ASK, {"code": code(device, drift=1)}).status_code == 302


def test_codes_can_not_be_guessed(device: TOTPDevice) -> None:
    client, right = signed_in(), code(device)
    wrong = "000000" if right != "000000" else "111111"
    for _ in range(3):
        client.post(ASK, {"code": wrong})
        TOTPDevice.objects.filter(pk=device.pk, throttling_failure_count__lt=9).update(
            throttling_failure_count=9
        )
    for who in (client, signed_in()):
        answer = who.post(ASK, {"code": right})
        assert answer.status_code == 422, "the right one comes too late, from wherever"
        assert "Too many wrong codes. Wait " in answer.content.decode()
    assert client.get("/admin/").status_code == 302


def test_nobody_replaces_an_authenticator_by_the_password(device: TOTPDevice) -> None:
    client = signed_in()
    assert client.get(ENROL)["Location"].startswith(ASK)
    assert client.post(ENROL, {"code": "123456"})["Location"].startswith(ASK)
    assert client.post(CODES)["Location"].startswith(ASK)
    assert TOTPDevice.objects.count() == 1
    client.post(ASK, {"code": code(device)})
    assert client.get(ENROL).status_code == 200
    new = TOTPDevice.objects.get(confirmed=False)
    assert client.post(ENROL, {"code": code(new)}).status_code == 200
    assert list(TOTPDevice.objects.all()) == [new], "the old one is gone"
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_it_leads_nowhere_else(device: TOTPDevice, evil: str) -> None:
    answer = signed_in().post(ASK, {"code": code(device), "next": evil})
    assert answer["Location"] == "/"


def test_owners_need_none() -> None:
    make_user("alice")
    client = Client()
    client.post(DOORS[0], {"username": "alice", "password": "pw"})
    assert client.get("/dashboard/").status_code == 200
    assert client.get(ASK)["Location"] == "/"
    assert client.get(ENROL)["Location"] == "/"


def test_another_s_device_opens_nothing(bob: User, device: TOTPDevice) -> None:
    make_user("eve", is_staff=True, is_superuser=True)
    client = Client()
    client.post(DOORS[0], {"username": "eve", "password": "pw"})
    session = client.session
    session["otp_device_id"] = device.persistent_id
    session.save()
    assert client.get("/admin/").status_code == 302
    assert is_given(bob, session)
    assert not is_given(User.objects.get(username="eve"), session)
    assert not is_given(bob, {})


def test_every_address_is_closed() -> None:
    """All that the resolver knows, for an administrator who gave the password alone."""
    scene, reached = make_scene(), []
    client = scene.clients["admin"]
    for pattern in set(all_patterns()) - OPEN:
        for method in ("get", "post", "patch", "delete"):
            given = {} if method == "get" else {"content_type": "application/json"}
            answer = getattr(client, method)(scene.path(pattern), **given)
            if answer.status_code != 404:
                asked = answer.status_code == 302 and answer["Location"].startswith(ASK)
                refused = answer.status_code == 403 and b"two-factor" in answer.content
                if not asked and not refused:
                    reached.append((method, pattern, answer.status_code))
    assert not reached


def test_a_token_is_not_asked() -> None:
    assert make_scene().clients["token"].get("/api/v1/towns").status_code == 200


def test_who_lost_it_sets_up_a_new_one(device: TOTPDevice, call: Callable[..., object]) -> None:
    client = signed_in()
    client.post(ASK, {"code": code(device)})
    devices.new_codes(device.user)
    assert call("second_factor", "forget", "bob", "--json").json == {  # type: ignore[attr-defined]
        "name": "bob",
        "forgotten": True,
    }
    assert client.get("/admin/")["Location"].startswith(ASK), "open sessions are asked, too"
    assert client.get(ASK)["Location"].startswith(ENROL)
    assert call("second_factor", "forget", "ghost").code == 1  # type: ignore[attr-defined]


@override_settings(GASTOWN_STAFF_TWO_FACTOR=False)
def test_where_it_is_off_nobody_is_asked(bob: User) -> None:
    assert signed_in().get("/admin/").status_code == 200
