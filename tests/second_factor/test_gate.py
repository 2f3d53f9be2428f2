"""Staff who gave no second factor are nobody, at every address of the project."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import AsyncClient, Client
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests.access.addresses import all_patterns
from tests.access.people import Scene, make_scene
from tests.access.table import API, PAGES
from tests.factories import make_town, make_user
from tests.live.running import LONG, run
from tests.live.talking import connect, first
from tests.second_factor.app import (
    CODE,
    MANAGE,
    code_of,
    enrolled,
    give_code,
    give_password,
    is_in,
    signed_in,
)
from towns.live import socket
from towns.models import Town

OURS = MANAGE.removeprefix("/")
Answer = tuple[int, str]


def by_password() -> str:
    """The session of an admin from before, with a password alone: its cookie."""
    client = Client()
    client.force_login(User.objects.get(username="admin"))
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def half_way() -> str:
    """The session of an admin who has just given the password."""
    client = Client()
    give_password(client, User.objects.get(username="admin"), "/admin/login/")
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def by_another_s_device() -> str:
    """The session of an admin that names somebody else's authenticator."""
    client = Client()
    client.force_login(User.objects.get(username="admin"))
    session = client.session
    session[DEVICE_ID_SESSION_KEY] = enrolled(User.objects.get(username="viewer")).persistent_id
    session.save()
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def requests(scene: Scene) -> list[tuple[str, str, Any]]:
    """All that is asked: each address by GET and by POST, and what the access table asks."""
    patterns = [pattern for pattern in all_patterns() if "(?P" not in pattern]
    asked = [(method, scene.path(one), None) for one in patterns for method in ("get", "post")]
    return asked + [(method, scene.path(one), body) for method, one, body, _ in [*PAGES, *API]]


def answer(cookie: str, method: str, path: str, body: Any) -> Answer:
    """The answer to somebody with that session; what they did is undone."""
    client = Client()
    if cookie:
        client.cookies[settings.SESSION_COOKIE_NAME] = cookie
    given: dict[str, Any] = {} if body is None else {"data": body}
    if body is not None and path.startswith("/api/"):
        given["content_type"] = "application/json"
    point = transaction.savepoint()
    try:
        told = getattr(client, method)(path, **given)
        return told.status_code, told.get("Location", "")
    finally:
        transaction.savepoint_rollback(point)


@pytest.mark.django_db
@pytest.mark.parametrize("session", [by_password, half_way, by_another_s_device])
def test_they_are_nobody_everywhere(session: Callable[[], str]) -> None:
    scene = make_scene()
    enrolled(User.objects.get(username="admin"))
    cookie = session()
    asked = [one for one in requests(scene) if OURS not in one[1]]
    assert len(asked) > 200
    let_in = [
        (*one, told, expected)
        for one in asked
        if (told := answer(cookie, *one)) != (expected := answer("", *one))
    ]
    assert let_in == []


@pytest.mark.django_db
def test_those_who_gave_it_are_let_in() -> None:
    scene = make_scene()
    admin = User.objects.get(username="admin")
    enrolled(admin)
    cookie = signed_in(admin).cookies[settings.SESSION_COOKIE_NAME].value
    differing = [one[1] for one in requests(scene) if answer(cookie, *one) != answer("", *one)]
    for path in ("/admin/", "/dashboard/", "/api/v1/fleet", "/metrics", "/admin/auth/user/"):
        assert path in differing
    assert len(differing) > 100, "the walk above asks what only staff are given"


@pytest.mark.django_db
def test_a_password_change_lets_nobody_in_without_a_code(client: Client) -> None:
    make_scene()
    admin = User.objects.get(username="admin")
    device = enrolled(admin)
    inside = signed_in(admin)
    form = {
        "old_password": "pw",
        "new_password1": "much-longer-9",
        "new_password2": "much-longer-9",
    }
    assert inside.post("/admin/password_change/", form).status_code == 302
    assert is_in(inside), "who gave it stays in"
    client.post("/accounts/login/", {"username": "admin", "password": "much-longer-9"})
    assert not is_in(client)
    assert client.get(CODE).status_code == 200
    assert give_code(client, code_of(device.key, 1)).status_code == 302
    assert is_in(client)


@pytest.mark.django_db
def test_an_owner_who_becomes_staff_is_nobody_until_then(client: Client) -> None:
    owner = make_user("owner")
    client.force_login(owner)
    assert client.get("/dashboard/").status_code == 200
    owner.is_staff = True
    owner.save()
    assert client.get("/dashboard/").status_code == 302


@pytest.mark.django_db
def test_whose_authenticator_is_taken_away_is_out(staff: User) -> None:
    enrolled(staff)
    client = signed_in(staff)
    assert is_in(client)
    TOTPDevice.objects.update(confirmed=False)
    assert not is_in(client)


@pytest.mark.django_db
def test_tokens_are_not_asked_for_it() -> None:
    scene = make_scene()
    client = scene.clients["token"]
    assert client.get("/api/v1/fleet").status_code == 200
    client.cookies[settings.SESSION_COOKIE_NAME] = by_password()
    assert client.get("/api/v1/fleet").status_code == 200, "nor beside a session"


def events(user: User, device: TOTPDevice | None) -> int:
    """The status of the fleet's events, as ASGI serves them."""

    async def story() -> int:
        client = AsyncClient()
        await client.aforce_login(user)
        if device is not None:
            await sync_to_async(note)(client, device)
        told: int = (await client.get("/live/events?fleet=1")).status_code
        return told

    return run(story())


def note(client: AsyncClient, device: TOTPDevice) -> None:
    session = client.session
    session[DEVICE_ID_SESSION_KEY] = device.persistent_id
    session.save()


@pytest.mark.django_db(transaction=True)
def test_the_stream_of_events_is_closed_too() -> None:
    user = make_user("ann", is_staff=True, permissions=("view_town",))
    device = enrolled(user)
    assert events(user, None) == 401
    assert events(user, device) == 200


@pytest.mark.django_db(transaction=True)
def test_the_web_socket_is_closed_too() -> None:
    town = make_town(owner=make_user("ann", is_staff=True))
    town.owner.groups.set(Group.objects.filter(name="Viewer"))

    async def refused(line: Any) -> Any:
        await line.send_input({"type": "websocket.connect"})
        return (await line.receive_output(LONG))["status"]

    assert connect(town.owner, f"/live/towns/{town.pk}", refused) == 401
    town.owner.is_staff = False
    town.owner.save()
    assert connect(town.owner, f"/live/towns/{town.pk}", first)["id"] == str(town.pk)


@pytest.mark.django_db(transaction=True)
def test_an_open_web_socket_is_looked_at_again() -> None:
    town = make_town(owner=make_user("ann"))

    async def promoted(line: Any) -> Any:
        await first(line)
        await User.objects.aupdate(is_staff=True)
        await Town.objects.aupdate(hold_reason="news")
        while (message := await line.receive_output(LONG))["type"] != "websocket.close":
            pass
        return message["code"]

    assert connect(town.owner, f"/live/towns/{town.pk}", promoted) == socket.GONE
