"""Opens WebSockets as somebody, and talks through them."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import AsyncClient

from gastown_ops.asgi import application
from tests.live.running import LONG, run
from towns.models import Town

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
    """Where a town's WebSocket is."""
    return f"/live/towns/{town.pk}"
