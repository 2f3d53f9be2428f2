"""Nothing is sent to private addresses, whatever a name leads to, and nobody holds us for ever."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError

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


def leads_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[object]:
    """Has each name lead there; returns what was asked of the resolver."""
    asked: list[object] = []

    def resolve(name: str, port: int, **_: object) -> list[Any]:
        asked.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (one, port)) for one in addresses]

    real = {name: getattr(socket, name) for name in ("SOCK_STREAM", "SHUT_RDWR", "socket")}
    monkeypatch.setattr(guarded_http, "socket", SimpleNamespace(getaddrinfo=resolve, **real))
    return asked


def test_a_name_is_resolved_once_and_what_was_looked_at_is_connected_to(
    receiver: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = leads_to(monkeypatch, "127.0.0.1")
    monkeypatch.setattr(guarded_http, "is_public", {"127.0.0.1": True}.__getitem__)
    url = f"http://hooks.example.test:{receiver}/x"
    assert told(url, GuardedAdapter()).ending == Ending.SENT
    assert asked == ["hooks.example.test"]


def test_one_private_address_among_public_ones_is_one_too_many(
    receiver: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads_to(monkeypatch, "1.1.1.1", "127.0.0.1")
    outcome = told(f"http://hooks.example.test:{receiver}/x", GuardedAdapter())
    assert "leads to a private address" in outcome.error
    assert Receiver.heard == []


class Silent:
    """Addresses of which none answers; trying one takes as long as it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.tried = 100.0, list[tuple[str, float]]()
        leads_to(monkeypatch, *(f"192.0.2.{n}" for n in range(1, 9)))
        monkeypatch.setattr(guarded_http, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(HTTPConnection, "_new_conn", self.new_conn())

    def new_conn(self) -> Callable[[HTTPConnection], socket.socket]:
        """In the place of urllib3's."""

        def new_conn(connection: HTTPConnection) -> socket.socket:
            assert isinstance(connection.timeout, float)
            self.tried.append((connection._dns_host, round(connection.timeout, 2)))
            self.now += connection.timeout
            raise ConnectTimeoutError(connection, "silent")

        return new_conn


def test_many_silent_addresses_are_not_waited_for_one_after_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silent = Silent(monkeypatch)
    outcome = told("http://hooks.example.test/x", GuardedAdapter(private=True, seconds=15))
    assert (outcome.ending, outcome.channel_down) == (Ending.FAILED, True)
    assert silent.tried == [(f"192.0.2.{n}", 3.05) for n in (1, 2, 3)]


def test_all_tries_together_have_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Silent(monkeypatch)
    outcome = told("http://hooks.example.test/x", GuardedAdapter(private=True, seconds=4))
    assert outcome.channel_down
    assert silent.tried == [("192.0.2.1", 3.05), ("192.0.2.2", 0.95)]


def test_what_was_cut_begins_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Silent(monkeypatch)
    adapter = GuardedAdapter(private=True)
    adapter.cut()
    assert told("http://hooks.example.test/x", adapter).channel_down
    assert silent.tried == []


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
