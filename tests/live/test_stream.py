"""`GET /live/events`."""

import asyncio
import json
from typing import Any, cast
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.http import StreamingHttpResponse
from django.test import AsyncClient, Client

from tests.factories import make_town, make_user
from tests.live.running import LONG, run
from towns.live import stream
from towns.models import Town

pytestmark = pytest.mark.django_db(transaction=True)


def ask(user: User | None, query: str, **headers: str) -> Any:
    """The answer to somebody, closed at once if it is a stream."""

    async def story() -> Any:
        client = AsyncClient()
        if user is not None:
            await client.aforce_login(user)
        return await client.get(f"/live/events?{query}", headers=headers)

    return run(story())


def first_events(
    user: User, query: str, count: int, between: Any = None, **headers: str
) -> list[str]:
    """The first messages of a stream; `between` is done after each."""

    async def story() -> list[str]:
        client = AsyncClient()
        await client.aforce_login(user)
        response = cast(
            "StreamingHttpResponse", await client.get(f"/live/events?{query}", headers=headers)
        )
        assert response.status_code == 200
        assert response["Content-Type"] == "text/event-stream"
        messages: Any = aiter(response)
        found = []
        for _ in range(count):
            found.append((await asyncio.wait_for(anext(messages), LONG)).decode())
            if between is not None:
                await sync_to_async(between)()
        await messages.aclose()
        return found

    return run(story())


def test_it_works() -> None:
    town = make_town()
    retry, changed, again = first_events(
        town.owner,
        f"town={town.pk}",
        3,
        between=lambda: Town.objects.update(status_reason="", hold_reason=str(uuid4())),
    )
    assert retry == "retry: 3000\n\n"
    for message in (changed, again):
        number, kind, data, *_ = message.split("\n")
        assert number.startswith("id: ")
        assert kind == "event: changed"
        assert json.loads(data.removeprefix("data: ")) == {"topics": [f"town:{town.pk}"]}
    assert changed != again


def test_listening_is_no_interaction_and_wakes_nothing() -> None:
    town = make_town(status="stopped", stop_reason="idle", desired_state="stopped")
    before = Town.objects.values().get()
    first_events(town.owner, f"town={town.pk}", 2)
    assert Town.objects.values().get() == before
    assert not town.operations.exists()


def test_who_is_up_to_date_hears_only_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    town = make_town()
    _, changed = first_events(town.owner, f"town={town.pk}", 2)
    version = changed.split("\n")[0].removeprefix("id: ")
    monkeypatch.setattr(stream, "BEAT_SECONDS", 0.001)
    headers = {"Last-Event-ID": version}
    assert first_events(town.owner, f"town={town.pk}", 2, **headers)[1] == ": nothing new\n\n"


def test_it_ends_in_time_so_that_access_is_asked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    town = make_town()
    monkeypatch.setattr(stream, "LIFE_SECONDS", 0)

    async def story() -> list[bytes]:
        client = AsyncClient()
        await client.aforce_login(town.owner)
        response = await client.get(f"/live/events?town={town.pk}")
        return [message async for message in cast("StreamingHttpResponse", response)]

    assert run(story()) == [b"retry: 3000\n\n"]


def test_who_may_listen_to_what() -> None:
    town, other = make_town(), make_user("other")
    viewer = make_user("viewer", permissions=("view_town",), is_staff=True)
    new = make_user("new", is_staff=True)
    for user, query, status in (
        (None, f"town={town.pk}", 401),
        (other, f"town={town.pk}", 404),
        (other, "fleet=1", 403),
        (new, "fleet=1", 403),
        (new, f"town={town.pk}", 404),
        (town.owner, f"town={town.pk}&fleet=1", 403),
        (town.owner, f"town={uuid4()}", 404),
        (town.owner, "town=harbour", 422),
        (town.owner, "", 422),
        (viewer, "&".join(f"town={uuid4()}" for _ in range(101)), 422),
        (viewer, f"town={town.pk}&fleet=1", 200),
    ):
        answer = ask(user, query)
        assert answer.status_code == status, (user, query)
        if status != 200:
            assert answer["Content-Type"] == "application/problem+json"
            assert json.loads(answer.content)["detail"].endswith((".", "=1."))


def test_where_only_wsgi_is_served_pages_go_on_asking(client: Client) -> None:
    town = make_town()
    client.force_login(town.owner)
    answer = client.get(f"/live/events?town={town.pk}")
    assert answer.status_code == 204, "which has a browser try no more"
