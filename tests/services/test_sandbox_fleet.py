"""Many sandboxes asked at once; what single answers mean is tested with those of one."""

import errno
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NoReturn

import pytest

from towns.probe import Probe, ProbeProblem
from towns.services import sandbox_fleet
from towns.services.sandbox import SandboxClient
from towns.services.sandbox_fleet import FleetProbing, Question

from .sandbox_answers import KEY, address, health
from .socket_server import Behaviour, closed_port, serving


def saying(body: bytes, status: str = "200 OK") -> Behaviour:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return lambda connection, _: connection.sendall(head + body)


def healthy(number: int = 7) -> Behaviour:
    return saying(json.dumps(health("tmux.sessions", number)).encode())


def hang(_: socket.socket, over: threading.Event) -> None:
    over.wait(10)


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Closes what is entered into it."""
    with ExitStack() as stack:
        yield stack


def test_answers_come_in_the_order_asked(servers: ExitStack) -> None:
    urls = [servers.enter_context(serving(healthy(number))) for number in range(12)]
    probes = SandboxClient().probe_many([address(url) for url in urls], concurrency=4)
    assert [probe.report and probe.report.tmux_sessions for probe in probes] == list(range(12))


def test_those_that_hang_take_no_more_than_their_time_from_the_others(servers: ExitStack) -> None:
    """Six that hang and two slots: three times the time-out, and all others are known."""
    slow = [servers.enter_context(serving(hang)) for _ in range(6)]
    well = [servers.enter_context(serving(healthy())) for _ in range(6)]
    urls = [url for pair in zip(slow, well, strict=True) for url in pair]
    results: Counter[str] = Counter()
    client = SandboxClient(timeout_seconds=0.2, on_results=results.update)
    probes = client.probe_many([address(url) for url in urls], concurrency=2)
    assert [probe.problem for probe in probes] == [ProbeProblem.TIMEOUT, None] * 6
    assert results == {"ok": 6, "timeout": 6}


def test_never_more_at_a_time_than_wanted() -> None:
    at_once, most, lock = 0, 0, threading.Lock()
    three = threading.Event()

    def count(connection: socket.socket, over: threading.Event) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            if most >= 3:
                three.set()
        three.wait(4)  # a slow machine gets them here one by one
        over.wait(0.02)
        with lock:
            at_once -= 1
        healthy()(connection, over)

    with serving(count) as url:
        probes = SandboxClient().probe_many([address(url)] * 20, concurrency=3)
    assert [probe.problem for probe in probes] == [None] * 20
    assert most == 3


def test_it_sends_key_and_machine() -> None:
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        connection, _ = listener.accept()
        with connection:
            heard.append(connection.recv(65536))
            saying(b"{}")(connection, threading.Event())

    thread = threading.Thread(target=accept)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    SandboxClient().probe_many([address(url)], concurrency=1)
    thread.join(5)
    listener.close()
    text = heard[0].decode().lower()
    assert text.startswith("get /health http/1.1\r\n")
    for line in (f"x-internal-api-key: {KEY}", "fly-force-instance-id: 148e"):
        assert f"\r\n{line}\r\n" in text
    assert "user-agent" not in text


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ("403 Forbidden", ProbeProblem.FORBIDDEN),
        ("500 Oh", ProbeProblem.STATUS),
        ("302 Found\r\nLocation: http://127.0.0.1:1/", ProbeProblem.STATUS),
        ("204 No Content", ProbeProblem.STATUS),
    ],
)
def test_another_status_is_a_problem(status: str, problem: ProbeProblem) -> None:
    with serving(saying(b"", status)) as url:
        [probe] = SandboxClient().probe_many([address(url)], concurrency=1)
    assert (probe.report, probe.problem) == (None, problem)


def test_a_huge_answer_is_malformed() -> None:
    with serving(saying(b" " * (1024 * 1024 + 1))) as url:
        [probe] = SandboxClient().probe_many([address(url)], concurrency=1)
    assert (probe.problem, probe.detail) == (ProbeProblem.MALFORMED, "the answer is over 1 MiB")


def test_a_name_that_leads_nowhere_is_our_trouble() -> None:
    [probe] = SandboxClient().probe_many([address("http://town.invalid:8080")], concurrency=1)
    assert probe.problem == ProbeProblem.NETWORK
    assert "could not be resolved" in probe.detail


def test_one_without_sense_disturbs_no_other(servers: ExitStack) -> None:
    urls = ["", "http://[::1", closed_port(), servers.enter_context(serving(healthy()))]
    probes = SandboxClient().probe_many([address(url) for url in urls], concurrency=4)
    assert [probe.problem for probe in probes] == [
        ProbeProblem.NETWORK,
        ProbeProblem.NETWORK,
        ProbeProblem.REFUSED,
        None,
    ]


@pytest.mark.parametrize(("share", "connections"), [(True, 1), (False, 4)])
def test_a_connection_is_kept_where_towns_share_an_address_alone(
    share: bool, connections: int, servers: ExitStack
) -> None:
    opened = []

    def several(connection: socket.socket, over: threading.Event) -> None:
        opened.append(connection.getpeername())
        healthy()(connection, over)
        while connection.recv(65536):
            healthy()(connection, over)

    if share:
        urls = [f"{servers.enter_context(serving(several))}/town-{n}" for n in range(1)] * 4
    else:
        urls = [servers.enter_context(serving(several)) for _ in range(4)]
    probes = SandboxClient().probe_many([address(url) for url in urls], concurrency=1)
    assert [probe.problem for probe in probes] == [None] * 4
    assert len(opened) == connections


def test_a_batch_that_waits_holds_up_no_other(servers: ExitStack) -> None:
    slow, well = servers.enter_context(serving(hang)), servers.enter_context(serving(healthy()))
    client = SandboxClient(timeout_seconds=0.5)
    with client.probing(concurrency=4) as probing:
        probing.begin(1, [address(slow), address(well)])
        probing.begin(2, [address(well)])
        probing.begin(3, [])
        assert probing.under_way == 3
        keys = [taken[0] for _ in range(3) if (taken := probing.take()) is not None]
    assert sorted(keys[:2]) == [2, 3]
    assert keys[2] == 1
    assert (probing.under_way, probing.waiting) == (0, 0)


def test_nothing_is_taken_before_it_is_there(servers: ExitStack) -> None:
    with SandboxClient(timeout_seconds=60).probing(concurrency=1) as probing:
        assert probing.take(0) is None
        probing.begin(1, [address(servers.enter_context(serving(hang)))] * 2)
        assert probing.take(0.05) is None
        assert probing.waiting == 1
    # Leaving it drops what is under way: nobody waits a minute for it.


def test_a_fault_of_ours_is_raised_where_it_is_taken(servers: ExitStack) -> None:
    url = servers.enter_context(serving(healthy()))

    def fault(*_: object) -> Probe:
        raise RuntimeError("no such thing")

    question = Question("/health", lambda _: {}, fault, lambda _: None, 5)
    with FleetProbing(question, concurrency=1) as probing:
        probing.begin(1, [address(url)])
        with pytest.raises(ExceptionGroup) as raised:
            probing.take(5)
    assert "no such thing" in str(raised.value.exceptions)


def test_who_begins_does_not_wait_for_a_loop_that_can_not_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process has no file left for one, for example."""

    def no_loop() -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(sandbox_fleet, "_new_loop", no_loop)
    raised: list[OSError] = []

    def ask() -> None:
        with pytest.raises(OSError, match="Too many open files") as caught:
            SandboxClient().probe_many([address("http://127.0.0.1:1")], concurrency=1)
        raised.append(caught.value)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(10)

    assert [error.errno for error in raised] == [errno.EMFILE]
