"""The WebSocket to a town."""

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import AsyncClient, override_settings
from django.utils import timezone

from gastown_ops.asgi import application
from tests.factories import make_town, make_user
from tests.live.running import LONG, run
from towns import history, interactions
from towns.actions import NotAllowed
from towns.api import rates
from towns.api.problems import SENTENCES
from towns.history import Actor
from towns.live import socket
from towns.models import Town
from towns.tokens import create_token
from towns.words import Status

pytestmark = pytest.mark.django_db(transaction=True)
OURS = (b"origin", b"http://localhost")
Talk = Callable[[Any], Awaitable[Any]]


def connect(
    user: User | None,
    path: str,
    talk: Talk,
    *,
    origin: tuple[bytes, bytes] = OURS,
    more: Sequence[tuple[bytes, bytes]] = (),
) -> Any:
    """Open a WebSocket as somebody and have a talk through it."""

    async def story() -> Any:
        headers = [(b"host", b"localhost"), origin, *more]
        if user is not None:
            client = AsyncClient()
            await client.aforce_login(user)
            cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode()))
        address, _, query = path.partition("?")
        communicator: Any = ApplicationCommunicator  # it has no types
        line = communicator(
            application,
            {
                "type": "websocket",
                "path": address,
                "query_string": query.encode(),
                "headers": headers,
                "subprotocols": [],
                "extensions": {"websocket.http.response": {}},
            },
        )
        try:
            return await talk(line)
        finally:
            await line.send_input({"type": "websocket.disconnect", "code": 1000})
            await line.wait(LONG)

    return run(story())


async def first(line: Any) -> Any:
    """The document that an open one begins with."""
    await line.send_input({"type": "websocket.connect"})
    assert (await line.receive_output(LONG))["type"] == "websocket.accept"
    return json.loads((await line.receive_output(LONG))["text"])


def fall_asleep(town: Town) -> None:
    actor = Actor("tester", automatic=False)
    history.change_status(town, Status.STOPPED, kind="stopped", actor=actor, now=timezone.now())


async def say(line: Any, text: str) -> None:
    """Send something as the user."""
    await line.send_input({"type": "websocket.receive", "text": text})


async def refusal(line: Any) -> Any:
    """Status and detail of a refused handshake."""
    await line.send_input({"type": "websocket.connect"})
    start, body = await line.receive_output(LONG), await line.receive_output(LONG)
    assert start["type"] == "websocket.http.response.start"
    return start["status"], json.loads(body["body"])["detail"]


def path(town: Town) -> str:
    return f"/live/towns/{town.pk}"


@pytest.fixture
def town() -> Town:
    """One that runs, and was last used an hour ago."""
    return make_town(last_interaction_at=timezone.now() - timedelta(hours=1))


def test_it_works(town: Town) -> None:
    began = timezone.now()
    document = connect(town.owner, path(town), first)
    assert document["id"] == str(town.pk)
    assert document["status"] == "running"
    town.refresh_from_db()
    assert town.last_interaction_kind == "websocket"
    for moment in (town.last_interaction_at, town.websocket_seen_at, town.websocket_message_at):
        assert moment is not None
        assert moment >= began
    assert "connection" in document["awake_because"] or town.last_checked_at is None


def test_it_tells_what_changes(town: Town) -> None:
    async def talk(line: Any) -> Any:
        await first(line)
        await sync_to_async(Town.objects.update)(idle_timeout_minutes=77)
        while True:  # the first reading of the pulse is news, too
            document = json.loads((await line.receive_output(LONG))["text"])
            if document["idle_timeout_minutes"] == 77:
                return document

    assert connect(town.owner, path(town), talk)["id"] == str(town.pk)


def test_a_message_is_an_interaction_and_a_ping_is_none(town: Town) -> None:
    old = timezone.now() - timedelta(hours=1)

    async def talk(line: Any) -> Any:
        await first(line)
        await sync_to_async(Town.objects.update)(last_interaction_at=old, websocket_message_at=old)
        await say(line, "ping")
        await say(line, "hello")
        while (await sync_to_async(Town.objects.get)()).last_interaction_at == old:
            await line.receive_nothing(0.01)

    connect(town.owner, path(town), talk)

    async def pings(line: Any) -> Any:
        await first(line)
        await sync_to_async(Town.objects.update)(last_interaction_at=old, websocket_message_at=old)
        await say(line, "ping")

    connect(town.owner, path(town), pings)
    town.refresh_from_db()
    assert town.last_interaction_at == old


@pytest.mark.parametrize("query", ["?again=1", ""])
def test_kilo_3113_a_page_that_connects_again_is_no_interaction(town: Town, query: str) -> None:
    old = timezone.now() - timedelta(hours=5)
    recently = timezone.now() - timedelta(seconds=90)
    Town.objects.update(last_interaction_at=old, websocket_seen_at=recently)
    connect(town.owner, path(town) + query, first)
    town.refresh_from_db()
    assert town.last_interaction_at == old
    assert town.websocket_seen_at is not None
    assert town.websocket_seen_at > recently, "that it is open is known"


@pytest.mark.parametrize("status", ["stopped", "stopping", "error", "destroying", "destroyed"])
def test_one_to_a_town_that_sleeps_is_refused_and_wakes_nothing(status: str) -> None:
    gone = timezone.now() if status == "destroyed" else None
    town = make_town(status=status, stop_reason="idle", destroyed_at=gone)
    before = Town.objects.values().get()
    code, detail = connect(town.owner, path(town), refusal)
    assert code == 409
    assert detail == f"{town} is {status}: a WebSocket does not wake it. Visit it, or start it."
    assert Town.objects.values().get() == before
    assert not town.operations.exists()


def test_it_is_closed_with_the_reason_when_the_town_goes_to_sleep(town: Town) -> None:
    async def talk(line: Any) -> Any:
        await first(line)
        await sync_to_async(fall_asleep)(town)
        while (message := await line.receive_output(LONG))["type"] != "websocket.close":
            pass
        return message["code"], message["reason"]

    code, reason = connect(town.owner, path(town), talk)
    assert code == socket.ASLEEP
    assert "is stopped" in reason


def test_it_is_closed_when_the_account_is(town: Town) -> None:
    async def talk(line: Any) -> Any:
        await first(line)
        await sync_to_async(User.objects.update)(is_active=False)
        await sync_to_async(Town.objects.update)(hold_reason="news")
        while (message := await line.receive_output(LONG))["type"] != "websocket.close":
            pass
        return message["code"]

    assert connect(town.owner, path(town), talk) == socket.GONE


def test_it_is_closed_when_its_session_ends(town: Town) -> None:
    async def talk(line: Any) -> Any:
        await first(line)
        await sync_to_async(Session.objects.all().delete)()
        await say(line, "hello")
        while (message := await line.receive_output(LONG))["type"] != "websocket.close":
            pass
        return message["code"]

    assert connect(town.owner, path(town), talk) == socket.GONE


def test_a_message_while_the_town_goes_to_sleep_closes_it_with_the_reason(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise NotAllowed("It is stopped.")

    async def talk(line: Any) -> Any:
        await first(line)
        monkeypatch.setattr(interactions, "websocket_message", refused)
        await say(line, "hello")
        while (message := await line.receive_output(LONG))["type"] != "websocket.close":
            pass
        return message["code"], message["reason"]

    assert connect(town.owner, path(town), talk) == (socket.ASLEEP, "It is stopped.")


def test_staff_look_without_counting(town: Town) -> None:
    viewer = make_user("viewer", permissions=("view_town",), is_staff=True)
    before = Town.objects.values().get()

    async def talk(line: Any) -> Any:
        document = await first(line)
        await say(line, "hello")
        return document

    assert connect(viewer, path(town), talk)["name"] == town.name
    assert Town.objects.values().get() == before


@override_settings(GASTOWN_STAFF_TWO_FACTOR=True)
def test_staff_without_their_second_factor_are_refused(town: Town) -> None:
    staff = make_user("staff", is_staff=True, permissions=("view_town",))
    status, detail = connect(staff, f"/live/towns/{town.pk}", refusal)
    assert (status, detail) == (401, "Sign in first.")


def test_who_is_refused(town: Town) -> None:
    assert connect(None, path(town), refusal) == (401, "Sign in first.")
    assert connect(make_user("other"), path(town), refusal) == (404, "There is no such town.")
    new = make_user("new", is_staff=True)
    assert connect(new, path(town), refusal)[0] == 403
    assert connect(town.owner, "/live/harbour", refusal)[0] == 404


def test_a_gateway_opens_it_for_an_owner(town: Town) -> None:
    scopes = ["towns:read", "owners:act"]
    made = create_token("gateway", scopes, actor=Actor.shell(), now=timezone.now())
    bearer = (b"authorization", f"Bearer {made.secret}".encode())
    before = town.last_interaction_at
    assert connect(None, path(town), first, more=[bearer])["id"] == str(town.pk)
    town.refresh_from_db()
    assert town.last_interaction_at == before, "it acts for nobody"
    owner = (b"x-gastown-user", town.owner.get_username().encode())
    assert connect(None, path(town), first, more=[bearer, owner])["id"] == str(town.pk)
    town.refresh_from_db()
    assert town.last_interaction_kind == "websocket"
    wrong = (b"authorization", b"Bearer gto_wrong")
    assert connect(None, path(town), refusal, more=[wrong])[0] == 401


@pytest.fixture
def three_at_once() -> Iterator[None]:
    with override_settings(GASTOWN_API_RATE_PER_MINUTE=6, GASTOWN_API_BURST=3):
        yield
    for kept in (rates._buckets, rates._wrong_tokens):
        kept.cache_clear()


@pytest.mark.usefixtures("three_at_once")
def test_opening_one_is_a_call_of_its_token(town: Town) -> None:
    scopes = ["towns:read", "owners:act"]
    made = create_token("gateway", scopes, actor=Actor.shell(), now=timezone.now())
    bearer = (b"authorization", f"Bearer {made.secret}".encode())
    for _ in range(3):
        assert connect(None, path(town), first, more=[bearer])["id"] == str(town.pk)
    new = (b"x-gastown-user", b"u-late")
    status, detail = connect(None, path(town), refusal, more=[bearer, new])
    assert status == 429
    assert "at most 6 a minute" in detail
    assert not User.objects.filter(username="u-late").exists()


@pytest.mark.usefixtures("three_at_once")
def test_opening_one_is_a_call_of_whoever_is_signed_in(town: Town) -> None:
    for _ in range(3):
        connect(town.owner, path(town), first)
    assert connect(town.owner, path(town), refusal)[0] == 429


@pytest.mark.usefixtures("three_at_once")
def test_wrong_tokens_count_by_address(town: Town) -> None:
    wrong = [(b"authorization", b"Bearer gto_wrong"), (b"fly-client-ip", b"192.0.2.7")]
    with override_settings(GASTOWN_CLIENT_IP_HEADER="Fly-Client-IP"):
        tried = [connect(None, path(town), refusal, more=wrong)[0] for _ in range(4)]
    assert tried == [401, 401, 401, 429]


@pytest.mark.usefixtures("three_at_once")
def test_what_is_said_in_an_open_one_is_no_call(town: Town) -> None:
    async def talk(line: Any) -> None:
        await first(line)
        for _ in range(5):
            await say(line, "hello")

    connect(town.owner, path(town), talk)
    assert connect(town.owner, path(town), first)["id"] == str(town.pk)


def test_another_site_can_open_none(town: Town) -> None:
    async def talk(line: Any) -> Any:
        await line.send_input({"type": "websocket.connect"})
        return (await line.receive_output(LONG))["type"]

    evil = (b"origin", b"https://evil.example")
    assert connect(town.owner, path(town), talk, origin=evil) == "websocket.close"


def test_without_a_database_it_is_refused_for_now(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Town:
        raise OperationalError

    monkeypatch.setattr(socket, "visible_town", fail)
    status, detail = connect(town.owner, path(town), refusal)
    assert (status, detail) == (503, SENTENCES[503])


def test_one_that_loses_the_database_is_closed_for_now(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Town:
        raise OperationalError

    async def talk(line: Any) -> Any:
        await first(line)
        monkeypatch.setattr(socket, "visible_town", fail)
        return await line.receive_output(LONG)

    monkeypatch.setattr(socket, "SEEN_SECONDS", 0.01)
    closed = connect(town.owner, path(town), talk)
    assert (closed["type"], closed["code"]) == ("websocket.close", socket.LATER)
