import errno
import socket
import threading
import time
import traceback
from collections.abc import Callable

import pytest
import requests
import responses

from towns.probe import Probe, ProbeProblem
from towns.services.errors import Conflict, Rejected, ServiceError, Unavailable
from towns.services.sandbox import SandboxClient, SyncAnswer, sandbox_key, sandbox_url

from .sandbox_answers import KEY, address, health
from .socket_server import Behaviour, closed_port, serving

URL = "http://148e.test:8080"
sandbox = SandboxClient()
Ask = Callable[..., Probe]


@pytest.fixture(params=["alone", "among many"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Probes one address, by a call of its own or as a sweep does."""

    def ask(url: str, seconds: float = 5.0) -> Probe:
        client = SandboxClient(timeout_seconds=seconds)
        if request.param == "alone":
            return client.probe(address(url))
        [found] = client.probe_many([address(url)], concurrency=4)
        return found

    return ask


@responses.activate
def test_it_works() -> None:
    responses.get(f"{URL}/health", json=health())
    probe = sandbox.probe(address())
    assert probe.problem is None
    assert probe.report is not None
    assert probe.report.tmux_sessions == 7


@responses.activate
def test_it_sends_key_and_machine() -> None:
    responses.get(f"{URL}/health", json=health())
    sandbox.probe(address())
    headers = responses.calls[0].request.headers
    assert headers["x-internal-api-key"] == KEY
    assert headers["fly-force-instance-id"] == "148e"


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (403, ProbeProblem.FORBIDDEN),
        (500, ProbeProblem.STATUS),
        (404, ProbeProblem.STATUS),
        (302, ProbeProblem.STATUS),
        (204, ProbeProblem.STATUS),
        (401, ProbeProblem.STATUS),
    ],
)
@responses.activate
def test_another_status_is_a_problem(status: int, problem: ProbeProblem) -> None:
    responses.get(f"{URL}/health", status=status)
    probe = sandbox.probe(address())
    assert (probe.report, probe.problem) == (None, problem)
    assert str(status) in probe.detail


@responses.activate
def test_redirects_are_not_followed() -> None:
    responses.get(f"{URL}/health", status=302, headers={"Location": f"{URL}/other"})
    responses.get(f"{URL}/other", json=health())
    assert sandbox.probe(address()).problem == ProbeProblem.STATUS
    assert len(responses.calls) == 1


@responses.activate
def test_a_malformed_answer_names_the_field() -> None:
    responses.get(f"{URL}/health", json=health("dolt.running", "yes"))
    probe = sandbox.probe(address())
    assert probe.problem == ProbeProblem.MALFORMED
    assert "dolt.running" in probe.detail


@responses.activate
def test_a_huge_answer_is_malformed() -> None:
    responses.get(f"{URL}/health", body=b" " * (1024 * 1024 + 1))
    probe = sandbox.probe(address())
    assert (probe.problem, probe.detail) == (ProbeProblem.MALFORMED, "the answer is over 1 MiB")


def test_it_works_over_a_socket(ask: Ask) -> None:
    with serving(answer(b'{"town_id": "t1"}')) as url:
        probe = ask(url)
    assert probe.problem == ProbeProblem.MALFORMED
    assert "daemon.running" in probe.detail


def test_no_connection_is_kept(ask: Ask) -> None:
    """The town would have closed it by the next probe, which would look like a refusal."""
    seen = []

    def keep_open(connection: socket.socket, over: threading.Event) -> None:
        seen.append(connection.getpeername())
        answer(b"{}")(connection, over)
        over.wait(10)

    with serving(keep_open) as url:
        for _ in range(3):
            ask(url)
    assert len(set(seen)) == 3


def test_a_refused_connection(ask: Ask) -> None:
    probe = ask(closed_port())
    assert (probe.problem, probe.detail) == (ProbeProblem.REFUSED, "the connection was refused")


def test_a_server_that_hangs_is_a_time_out(ask: Ask) -> None:
    with serving(hang) as url:
        assert ask(url, 0.3).problem == ProbeProblem.TIMEOUT


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 200 OK\r\nx: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
    ],
)
def test_a_server_that_drips_is_a_time_out(ask: Ask, beginning: bytes) -> None:
    def drip(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(beginning)
        while not over.wait(0.02):
            connection.sendall(b"x")

    with serving(drip) as url:
        began = time.monotonic()
        assert ask(url, 0.3).problem == ProbeProblem.TIMEOUT
        assert time.monotonic() - began < 2


def test_a_flood_of_continues_is_a_time_out(ask: Ask) -> None:
    def flood(connection: socket.socket, over: threading.Event) -> None:
        while not over.wait(0.01):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    with serving(flood) as url:
        assert ask(url, 0.3).problem == ProbeProblem.TIMEOUT


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"])
def test_a_server_that_closes_is_a_refusal(ask: Ask, said: bytes) -> None:
    with serving(lambda connection, _: connection.sendall(said)) as url:
        assert ask(url).problem == ProbeProblem.REFUSED


def test_a_server_that_resets_is_a_refusal(ask: Ask) -> None:
    def reset(connection: socket.socket, _: threading.Event) -> None:
        linger = b"\1\0\0\0\0\0\0\0"
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    with serving(reset) as url:
        assert ask(url).problem == ProbeProblem.REFUSED


@pytest.mark.parametrize(
    "said",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_whatever_it_answers_a_probe_is_a_value(ask: Ask, said: bytes) -> None:
    with serving(lambda connection, _: connection.sendall(said)) as url:
        probe = ask(url)
    assert probe.problem in (ProbeProblem.MALFORMED, ProbeProblem.REFUSED)
    assert probe.detail


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        OSError(errno.EHOSTUNREACH, "No route to host"),
        OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"),
        OSError(errno.EMFILE, "Too many open files"),
    ],
)
def test_trouble_on_our_side_is_ours(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    probe = sandbox.probe(address())
    assert probe.problem == ProbeProblem.NETWORK
    assert str(error.strerror) in probe.detail


@pytest.mark.parametrize("url", ["", "nonsense", "http://", "http://[::1", "ftp://x", "http://a b"])
def test_an_address_without_sense_is_our_mistake(ask: Ask, url: str) -> None:
    assert ask(url).problem == ProbeProblem.NETWORK


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (requests.ConnectTimeout("slow"), ProbeProblem.TIMEOUT),
        (requests.ReadTimeout("slow"), ProbeProblem.TIMEOUT),
        (requests.ConnectionError("gone"), ProbeProblem.REFUSED),
    ],
)
@responses.activate
def test_errors_of_the_library_are_understood(error: Exception, problem: ProbeProblem) -> None:
    responses.get(f"{URL}/health", body=error)
    assert sandbox.probe(address()).problem == problem


def test_it_takes_no_proxy_from_the_environment(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", closed_port())
    with serving(answer(b"{}")) as url:
        assert ask(url).problem == ProbeProblem.MALFORMED


def test_probing_nobody_brings_nothing() -> None:
    assert sandbox.probe_many([], concurrency=8) == []


@responses.activate
def test_a_sync_that_begins() -> None:
    body = {"accepted_at": "2026-02-17T12:00:00Z", "previous": "20260217T120100Z"}
    responses.post(f"{URL}/sync", status=202, json=body)
    assert sandbox.request_sync(address()) == SyncAnswer(True, None, "20260217T120100Z")


@responses.activate
def test_a_sync_that_is_done() -> None:
    responses.post(f"{URL}/sync", json={"snapshot": "20260217T120100Z"})
    assert sandbox.request_sync(address()) == SyncAnswer(False, "20260217T120100Z", None)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (409, '{"error": "restoring"}', Conflict),
        (403, '{"error": "Forbidden"}', Rejected),
        (404, "", Rejected),
        (500, "", Unavailable),
        (503, '{"error": "R2 is not configured"}', Unavailable),
        (429, "", Unavailable),
        (302, "", Unavailable),
        (202, "<html>", Unavailable),
        (200, "[]", Unavailable),
    ],
)
@responses.activate
def test_a_sync_that_is_refused(status: int, body: str, expected: type[ServiceError]) -> None:
    responses.post(f"{URL}/sync", status=status, body=body)
    with pytest.raises(ServiceError) as caught:
        sandbox.request_sync(address())
    assert type(caught.value) is expected
    assert "town t1" in str(caught.value)


@responses.activate
def test_a_refused_sync_gives_the_reason() -> None:
    responses.post(f"{URL}/sync", status=503, json={"error": "R2 is not configured"})
    with pytest.raises(Unavailable, match="R2 is not configured"):
        sandbox.request_sync(address())


def test_a_sync_that_reaches_nobody() -> None:
    with pytest.raises(Unavailable, match="refused"):
        sandbox.request_sync(address(closed_port()))


@responses.activate
def test_the_key_is_never_told(caplog: pytest.LogCaptureFixture) -> None:
    responses.post(f"{URL}/sync", status=503, json={"error": f"got {KEY}"})
    responses.get(f"{URL}/health", status=500, json={"error": f"got {KEY}"})
    with pytest.raises(Unavailable) as caught:
        sandbox.request_sync(address())
    texts = [*traceback.format_exception(caught.value), repr(caught.value), repr(address())]
    assert KEY not in "".join([*texts, sandbox.probe(address()).detail, caplog.text])


def test_the_key_is_derived() -> None:
    assert sandbox_key("secret", "t1", 1) == (
        "0c30387526ab23e9e33eb498d2bccafa21f44916b7ed97522f8236d7ecfd5d12"
    )
    assert sandbox_key("secret", "t1", 2) != sandbox_key("secret", "t1", 1)


def test_the_address_is_filled_in() -> None:
    template = "http://{machine_id}.vm.{app}.internal:8080/{region}/{town_id}/"
    url = sandbox_url(template, machine_id="148e", app="towns", town_id="t1", region="iad")
    assert url == "http://148e.vm.towns.internal:8080/iad/t1"


def answer(body: bytes) -> Behaviour:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return lambda connection, _: connection.sendall(head + body)


def hang(connection: socket.socket, over: threading.Event) -> None:
    over.wait(10)
