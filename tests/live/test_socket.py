"""The WebSocket to a town."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.utils import timezone

from tests.factories import make_town, make_user
from tests.live.running import LONG
from tests.live.talking import connect, first, path, refusal, say
from towns import history, interactions
from towns.actions import NotAllowed
from towns.api.problems import SENTENCES
from towns.history import Actor
from towns.live import socket
from towns.models import Town
from towns.words import Status

pytestmark = pytest.mark.django_db(transaction=True)


def fall_asleep(town: Town) -> None:
    actor = Actor("tester", automatic=False)
    history.change_status(town, Status.STOPPED, kind="stopped", actor=actor, now=timezone.now())


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


def test_a_message_is_an_interaction_and_a_ping_is_none(town: Town, settings: Any) -> None:
    settings.GASTOWN_INTERACTION_COALESCE_SECONDS = 0
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


@pytest.mark.parametrize("seconds_ago", [5, 40])
def test_of_many_messages_one_is_looked_at_once_the_last_is_old(
    town: Town, seconds_ago: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = []
    websocket_message = interactions.websocket_message

    def note(town: Town, now: datetime) -> bool:
        noted.append(now)
        return websocket_message(town, now)

    async def talk(line: Any) -> Any:
        await first(line)
        for _ in range(50):
            await say(line, "a key was pressed")

    ago = timezone.now() - timedelta(seconds=seconds_ago)
    moments = dict.fromkeys(("last_interaction_at", "websocket_message_at"), ago)
    Town.objects.update(**moments)
    monkeypatch.setattr(interactions, "websocket_message", note)
    connect(town.owner, path(town) + "?again=1", talk)
    assert len(noted) == (seconds_ago > 30)


def test_the_messages_of_staff_are_not_looked_at_for_a_while(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = make_user("viewer", permissions=("view_town",), is_staff=True)
    looks = []
    look = socket.TownSocket._note

    def note(self: socket.TownSocket, message: bool) -> str:
        looks.append(message)
        return look(self, message)

    async def talk(line: Any) -> Any:
        await first(line)
        for _ in range(50):
            await say(line, "a key was pressed")

    monkeypatch.setattr(socket.TownSocket, "_note", note)
    connect(viewer, path(town), talk)
    assert True not in looks


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


def test_it_is_closed_when_its_session_ends(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "SEEN_SECONDS", 0.01)

    async def talk(line: Any) -> Any:
        await first(line)
        await sync_to_async(Session.objects.all().delete)()
        while (message := await line.receive_output(LONG))["type"] != "websocket.close":
            pass
        return message["code"]

    assert connect(town.owner, path(town), talk) == socket.GONE


def test_a_message_while_the_town_goes_to_sleep_closes_it_with_the_reason(
    town: Town, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.GASTOWN_INTERACTION_COALESCE_SECONDS = 0

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
