"""Each fact of /health from its source; what is unknown is None."""

import fcntl
import hashlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.sources.cgroup import Cgroup, LimitedMemory, find_cgroup
from sandbox.sources.daemon import Daemon, is_locked, read_daemon
from sandbox.sources.dolt import probe_dolt
from sandbox.sources.machine import Cpu, CpuMeter, Usage, disk_usage, memory_usage
from sandbox.sources.polecats import (
    Heartbeat,
    Polecats,
    count_polecats,
    is_active,
    is_polecat,
    read_heartbeat,
)
from sandbox.sources.tmux import Session, list_sessions, socket_names

from .world import write

NOON = datetime(2026, 2, 17, 12, 0, tzinfo=UTC)
HANDSHAKE = b"\x4a\x00\x00\x00\x0a8.0.33\x00"


def ago(**time: float) -> datetime:
    return NOON - timedelta(**time)


class TestDaemon:
    def test_the_lock_says_that_it_runs(self, tmp_path: Path) -> None:
        lock = write(tmp_path / "daemon" / "daemon.lock", "")
        write(tmp_path / "daemon" / "daemon.pid", "412\nabcd")
        state = {"last_heartbeat": "2026-02-17T13:03:00.123456789+01:00", "heartbeat_count": 7}
        write(tmp_path / "daemon" / "state.json", json.dumps(state))
        with lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)

            daemon = read_daemon(tmp_path)

        at = datetime(2026, 2, 17, 12, 3, 0, 123456, tzinfo=UTC)
        assert daemon == Daemon(running=True, pid=412, last_heartbeat_at=at, heartbeat_count=7)

    def test_a_stale_pid_file_does_not_make_it_run(self, tmp_path: Path) -> None:
        write(tmp_path / "daemon" / "daemon.lock", "")
        write(tmp_path / "daemon" / "daemon.pid", "1\nabcd")

        assert read_daemon(tmp_path) == Daemon(False, None, None, None)

    def test_without_a_lock_file_it_does_not_run(self, tmp_path: Path) -> None:
        assert is_locked(tmp_path / "daemon.lock") is False

    def test_asking_leaves_the_lock_free(self, tmp_path: Path) -> None:
        lock = write(tmp_path / "daemon.lock", "")
        assert is_locked(lock) is False
        with lock.open() as free:
            fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @pytest.mark.parametrize(
        "text", ["{", "[]", '{"last_heartbeat": "0001-01-01T00:00:00Z"}', '{"last_heartbeat": 1}']
    )
    def test_a_senseless_state_file_is_unknown(self, tmp_path: Path, text: str) -> None:
        write(tmp_path / "daemon" / "state.json", text)

        assert read_daemon(tmp_path).last_heartbeat_at is None


class TestDolt:
    @pytest.fixture
    def listener(self) -> Iterator[socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield listener

    def answer(self, listener: socket.socket, greeting: bytes) -> int:
        """Greet the next client; returns the port."""

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(greeting)

        threading.Thread(target=serve, daemon=True).start()
        return int(listener.getsockname()[1])

    def test_a_handshake_says_that_it_runs(self, listener: socket.socket) -> None:
        dolt = probe_dolt(self.answer(listener, HANDSHAKE))

        assert dolt.running
        assert dolt.latency_ms is not None

    def test_a_refusal_in_the_protocol_says_so_too(self, listener: socket.socket) -> None:
        assert probe_dolt(self.answer(listener, b"\x17\x00\x00\x00\xff\x10\x04Too many")).running

    @pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n", b"\x4a\x00"])
    def test_something_else_on_the_port_is_no_dolt(
        self, listener: socket.socket, greeting: bytes
    ) -> None:
        dolt = probe_dolt(self.answer(listener, greeting))

        assert (dolt.running, dolt.latency_ms) == (False, None)

    def test_a_silent_server_does_not_hold_us_up(self, listener: socket.socket) -> None:
        began = time.monotonic()
        dolt = probe_dolt(int(listener.getsockname()[1]), timeout=0.1)

        assert not dolt.running
        assert time.monotonic() - began < 2

    def test_a_closed_port_is_no_dolt(self) -> None:
        assert not probe_dolt(1).running


class TestTmux:
    def test_the_socket_is_named_as_gastown_does(self, tmp_path: Path) -> None:
        town = tmp_path / "My_Town"
        town.mkdir()
        digest = hashlib.sha256(str(town.resolve()).encode()).hexdigest()[:6]

        assert socket_names(town) == [f"my-town-{digest}", f"My_Town-{digest}"]

    def test_the_socket_may_be_chosen(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GT_TMUX_SOCKET", "mine")
        assert socket_names(tmp_path) == ["mine"]

    def test_no_server_means_no_session(
        self, tmux_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TMUX_TMPDIR", str(tmux_folder))
        assert list_sessions(tmux_folder / "town") == []

    def test_no_tmux_means_no_session(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert list_sessions(tmp_path) == []

    def test_no_clear_answer_is_unknown(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tmux = write(tmp_path / "tmux", "#!/bin/sh\necho lost server >&2\nexit 1\n")
        tmux.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        assert list_sessions(tmp_path) is None

    @pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
    def test_the_sessions_of_the_towns_own_socket_are_listed(
        self, tmux_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TMUX_TMPDIR", str(tmux_folder))
        town = tmux_folder / "My_Town"
        name = socket_names(town)[0]
        start = ["tmux", "-L", name, "new-session", "-d", "-s", "web-nux", "cat"]
        subprocess.run(start, check=True)
        try:
            sessions = list_sessions(town)
        finally:
            subprocess.run(["tmux", "-L", name, "kill-server"], check=False)

        assert sessions is not None
        assert [session.name for session in sessions] == ["web-nux"]
        assert sessions[0].created_at is not None


class TestPolecats:
    def town(self, tmp_path: Path, *prefixes: str) -> Path:
        rigs = {prefix: {"beads": {"prefix": prefix}} for prefix in prefixes}
        write(tmp_path / "mayor" / "rigs.json", json.dumps({"version": 1, "rigs": rigs}))
        return tmp_path

    def beat(self, town: Path, session: str, at: datetime, **more: str) -> None:
        body = {"timestamp": at.isoformat(), **more}
        write(town / ".runtime" / "heartbeats" / f"{session}.json", json.dumps(body))

    def count(self, town: Path, *names: str, created: datetime | None = None) -> Polecats | None:
        created = created or ago(hours=5)
        return count_polecats(town, [Session(name, created) for name in names], NOON)

    @pytest.mark.parametrize(
        ("session", "expected"),
        [
            ("web-nux", True),
            ("web-witness", False),
            ("web-refinery", False),
            ("web-crew-max", False),
            ("web-", False),
            ("hq-mayor", False),
            ("other-nux", False),
            ("webnux", False),
            ("web-api-witness", False),
            ("web-api-nux", True),
        ],
    )
    def test_sessions_are_told_by_their_names(self, session: str, expected: bool) -> None:
        assert is_polecat(session, ["web", "web-api"]) is expected

    def test_kilo_1452_an_idle_polecat_is_not_active(self, tmp_path: Path) -> None:
        """A waiting agent counted as working. It keeps its session for 15 minutes."""
        town = self.town(tmp_path, "web")
        self.beat(town, "web-nux", ago(seconds=5), state="idle")
        self.beat(town, "web-ace", ago(seconds=5), state="working", bead="web-1")

        assert self.count(town, "web-nux", "web-ace", "hq-mayor") == Polecats(active=1, total=2)

    @pytest.mark.parametrize("state", ["working", "exiting", "stuck", ""])
    def test_other_states_are_active(self, tmp_path: Path, state: str) -> None:
        town = self.town(tmp_path, "web")
        self.beat(town, "web-nux", ago(minutes=1), state=state)

        assert self.count(town, "web-nux") == Polecats(1, 1)

    def test_a_heartbeat_of_version_1_means_working(self, tmp_path: Path) -> None:
        town = self.town(tmp_path, "web")
        self.beat(town, "web-nux", ago(minutes=2))

        assert read_heartbeat(town, "web-nux") == Heartbeat(ago(minutes=2), "working")
        assert self.count(town, "web-nux") == Polecats(1, 1)

    @pytest.mark.parametrize(("minutes", "active"), [(4, True), (30, True), (30.1, False)])
    def test_jupyterhub_1498_a_stale_heartbeat_counts_for_half_an_hour(
        self, minutes: float, active: bool
    ) -> None:
        """A long build touches no heartbeat, and is work all the same."""
        session = Session("web-nux", ago(hours=5))

        assert is_active(session, Heartbeat(ago(minutes=minutes), "working"), NOON) is active

    @pytest.mark.parametrize(("minutes", "active"), [(29, True), (31, False)])
    def test_without_a_heartbeat_the_session_counts_from_its_start(
        self, minutes: float, active: bool
    ) -> None:
        assert is_active(Session("web-nux", ago(minutes=minutes)), None, NOON) is active

    def test_a_session_of_unknown_age_without_a_heartbeat_is_active(self) -> None:
        assert is_active(Session("web-nux", None), None, NOON)

    def test_the_heartbeat_of_an_earlier_polecat_of_that_name_does_not_count(self) -> None:
        session = Session("web-nux", ago(minutes=5))

        assert is_active(session, Heartbeat(ago(minutes=9), "idle"), NOON)

    def test_a_clock_that_is_ahead_is_no_reason_to_call_it_idle(self) -> None:
        assert is_active(Session("web-nux", NOON), Heartbeat(ago(minutes=-5), "working"), NOON)

    def test_a_malformed_heartbeat_is_none(self, tmp_path: Path) -> None:
        write(tmp_path / ".runtime" / "heartbeats" / "web-nux.json", '{"timestamp": "soon"}')
        assert read_heartbeat(tmp_path, "web-nux") is None

    def test_unknown_rigs_or_sessions_are_unknown_polecats(self, tmp_path: Path) -> None:
        assert self.count(tmp_path, "web-nux") is None
        assert count_polecats(self.town(tmp_path, "web"), None, NOON) is None


class TestMachine:
    def test_the_disk_is_the_one_of_the_volume(self, tmp_path: Path) -> None:
        usage = disk_usage(tmp_path)

        assert usage is not None
        assert 0 < usage.used_bytes <= usage.total_bytes
        assert disk_usage(tmp_path / "missing") is None

    def proc(self, tmp_path: Path) -> Path:
        proc = tmp_path / "proc"
        write(proc / "meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n")
        write(proc / "loadavg", "0.41 0.2 0.1 1/2 3\n")
        write(proc / "stat", "cpu 100 0 50 1000 20 0 0 0 0 0\n")
        return proc

    def test_without_a_limit_the_host_counts(self, tmp_path: Path) -> None:
        usage = memory_usage(self.proc(tmp_path), Cgroup(tmp_path))

        assert usage == Usage(600 * 1024, 1000 * 1024)

    def test_the_limit_of_version_2_comes_first(self, tmp_path: Path) -> None:
        root = tmp_path / "cgroup"
        write(root / "town" / "memory.max", "512000\n")
        write(root / "town" / "memory.current", "300000\n")
        write(root / "town" / "memory.stat", "anon 1\ninactive_file 100000\n")
        membership = write(tmp_path / "membership", "0::/town\n")

        cgroup = find_cgroup(membership, root)

        assert memory_usage(self.proc(tmp_path), cgroup) == Usage(200000, 512000)

    def test_a_parents_limit_holds_too(self, tmp_path: Path) -> None:
        root = tmp_path / "cgroup"
        write(root / "a" / "memory.max", "512000")
        write(root / "a" / "memory.current", "300000")
        write(root / "a" / "b" / "memory.max", "max")
        write(root / "a" / "b" / "memory.current", "1")

        cgroup = Cgroup(root, unified=root / "a" / "b")

        assert cgroup.memory() == LimitedMemory(300000, 512000)

    def test_the_limit_of_version_1(self, tmp_path: Path) -> None:
        root = tmp_path / "cgroup"
        folder = root / "memory" / "town"
        write(folder / "memory.limit_in_bytes", "512000")
        write(folder / "memory.usage_in_bytes", "300000")
        write(root / "memory" / "memory.limit_in_bytes", "9223372036854771712")
        write(root / "memory" / "memory.usage_in_bytes", "400000")
        membership = write(tmp_path / "membership", "4:memory:/town\n0::/\n")

        assert find_cgroup(membership, root).memory() == LimitedMemory(300000, 512000)

    def test_a_path_of_the_host_is_our_root_in_a_container(self, tmp_path: Path) -> None:
        root = tmp_path / "cgroup"
        write(root / "cpu.max", "50000 100000")
        membership = write(tmp_path / "membership", "0::/system.slice/docker-1.scope\n")

        assert find_cgroup(membership, root).cpu_limit() == 0.5

    def test_cpu_is_the_share_since_the_last_reading(self, tmp_path: Path) -> None:
        root, proc = tmp_path / "cgroup", self.proc(tmp_path)
        write(root / "cpu.max", "400000 100000")
        write(root / "cpu.stat", "usage_usec 1000000\n")
        now = 100.0
        meter = CpuMeter(proc, Cgroup(root, unified=root), lambda: now)
        assert meter.read() == Cpu(used_ratio=None, cores=4, load_1m=0.41)

        now = 110.0
        write(root / "cpu.stat", "usage_usec 21000000\n")

        assert meter.read() == Cpu(used_ratio=0.5, cores=4, load_1m=0.41)
        assert meter.read().used_ratio == 0.5, "a second look forgot the figure"

    def test_the_hosts_cpu_time(self, tmp_path: Path) -> None:
        proc = self.proc(tmp_path)
        now = 0.0
        meter = CpuMeter(proc, Cgroup(tmp_path), lambda: now)
        now = 10.0
        write(proc / "stat", "cpu 100 0 50 9000 999 0 0 0 0 0\n")

        assert meter.read().used_ratio == 0.0, "idle and iowait are no use"

    def test_nothing_to_read_is_unknown(self, tmp_path: Path) -> None:
        cpu = CpuMeter(tmp_path, Cgroup(tmp_path)).read()

        assert memory_usage(tmp_path, Cgroup(tmp_path)) is None
        assert (cpu.used_ratio, cpu.load_1m) == (None, None)
