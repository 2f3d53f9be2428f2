"""What is live is asked by everybody, through ASGI, and answers as the table says."""

from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from gastown_ops.asgi import application
from tests.access.people import ROLES, Scene, make_scene
from tests.access.table import LIVE
from tests.live.running import LONG, run

pytestmark = pytest.mark.django_db(transaction=True)
SENT: dict[str, dict[str, Any]] = {
    "events": {
        "open": {"type": "http", "method": "GET", "http_version": "1.1"},
        "first": {"type": "http.request", "body": b"", "more_body": False},
        "end": {"type": "http.disconnect"},
    },
    "socket": {
        "open": {"type": "websocket", "subprotocols": []},
        "first": {"type": "websocket.connect"},
        "end": {"type": "websocket.disconnect", "code": 1000},
    },
}


def headers_of(scene: Scene, role: str) -> list[tuple[bytes, bytes]]:
    """What somebody's browser or program sends."""
    client = scene.clients[role]
    told = {
        "host": "localhost",
        "origin": "http://localhost",
        "cookie": "; ".join(f"{one.key}={one.value}" for one in client.cookies.values()),
        "authorization": client.defaults.get("HTTP_AUTHORIZATION", ""),
    }
    return [(name.encode(), value.encode()) for name, value in told.items() if value]


async def ask(scene: Scene, role: str, kind: str, address: str) -> str:
    """The status of the answer; 101 for a WebSocket that is opened."""
    path, _, query = address.partition("?")
    sent, communicator = SENT[kind], ApplicationCommunicator
    scope = {
        **sent["open"],
        "path": f"/{path}",
        "query_string": query.encode(),
        "headers": headers_of(scene, role),
        "extensions": {"websocket.http.response": {}},
    }
    line: Any = communicator(application, scope)  # type: ignore[no-untyped-call]  # it has no types
    try:
        await line.send_input(sent["first"])
        answer = await line.receive_output(LONG)
    finally:
        await line.send_input(sent["end"])
        await line.wait(LONG)
    return "101" if answer["type"] == "websocket.accept" else str(answer["status"])


def test_live() -> None:
    scene = make_scene()
    town = str(scene.values["town_id"])

    async def all_answers() -> list[str]:
        wrong = []
        for kind, address, expected in LIVE:
            path = address.replace("{town_id}", town)
            told = " ".join([await ask(scene, role, kind, path) for role in ROLES])
            if told != expected:
                wrong.append(f"{kind} {address}: {told}, not {expected}")
        return wrong

    wrong = run(all_answers())
    assert not wrong, "\n".join(wrong)
