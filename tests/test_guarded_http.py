"""Nothing is sent to private addresses, whatever a name leads to, and nobody holds us for ever."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from tests.factories import NOW
from towns import guarded_http
from towns.guarded_http import GuardedAdapter, is_public
from towns.posting import Endpoint, post
from towns.sending import Ending, Outcome


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True),
        ("2606:4700:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fdaa:0:1::3", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:1.1.1.1", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::a00:1", False),
        ("fec0::1", False),
        ("::127.0.0.1", False),
        ("192.0.0.192", False),
        ("3fff::1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


class Receiver(BaseHTTPRequestHandler):
    """Notes what it hears; where it is `asked` to `wait`, it answers when that is set."""

    heard: list[str] = []
    asked = threading.Event()
    wait: threading.Event | None = None

    def do_POST(self) -> None:
        """Take it."""
        self.heard.append(self.path)
        self.asked.set()
        if self.wait is not None:
            self.wait.wait(30)
            return
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[int]:
    """The port of one that listens on this machine."""
    Receiver.heard, Receiver.asked, Receiver.wait = [], threading.Event(), None
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def told(url: str, adapter: GuardedAdapter) -> Outcome:
    to = Endpoint(url, (b"key",), "Its address")
    return post(to, b"{}", message_id=uuid4(), now=NOW, adapter=adapter)


def test_it_works(receiver: int) -> None:
    assert told(f"http://127.0.0.1:{receiver}/x", GuardedAdapter(private=True)).ending == (
        Ending.SENT
    )
    assert Receiver.heard == ["/x"]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_a_private_address_is_never_reached(receiver: int, scheme: str, host: str) -> None:
    outcome = told(f"{scheme}://{host}:{receiver}/x", GuardedAdapter())
    assert (outcome.ending, outcome.channel_down) == (Ending.FAILED, True)
    assert "leads to a private address" in outcome.error
    assert Receiver.heard == []


def test_a_name_that_leads_elsewhere_the_second_time_leads_nowhere(
    receiver: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_time(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("1.1.1.1", receiver))]

    seen = SimpleNamespace(getaddrinfo=first_time, SOCK_STREAM=socket.SOCK_STREAM)
    adapter = GuardedAdapter()
    monkeypatch.setattr(guarded_http, "socket", seen)
    outcome = told(f"http://localhost:{receiver}/x", adapter)
    assert "leads to a private address" in outcome.error
    assert Receiver.heard == []


def test_a_name_that_leads_nowhere_is_told_as_that() -> None:
    outcome = told("https://hooks.invalid/x", GuardedAdapter())
    assert outcome.error == "hooks.invalid can't be reached: no connection."


def test_what_takes_too_long_is_cut(receiver: int) -> None:
    Receiver.wait = threading.Event()
    adapter, ends = GuardedAdapter(private=True), []
    thread = threading.Thread(
        target=lambda: ends.append(told(f"http://127.0.0.1:{receiver}/x", adapter))
    )
    thread.start()
    assert Receiver.asked.wait(5)
    adapter.cut()
    thread.join(5)
    Receiver.wait.set()
    assert [one.ending for one in ends] == [Ending.IN_DOUBT]
