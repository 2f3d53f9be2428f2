"""The daemon: holds the flock, beats into state.json, answers for Dolt, keeps the sessions."""

import contextlib
import fcntl
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from . import dolt, polecats, tmux
from .town import PREFIX, write_json

SESSIONS = ("hq-mayor", "hq-deacon", f"{PREFIX}-witness", f"{PREFIX}-refinery")
READY_SECONDS = 15.0
END_SECONDS = 10.0


def up(town: Path) -> int:
    """Start the daemon unless it runs, and wait until it is there."""
    if not is_running(town):
        (town / "daemon").mkdir(exist_ok=True)  # no backup holds it
        log = (town / "daemon" / "daemon.log").open("ab")
        with log:
            subprocess.Popen(
                [sys.executable, "-S", "-m", "localcloud.standin", "standin", "daemon", str(town)],
                cwd=town,
                env={**os.environ, "GT_HOME": str(town)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if is_running(town) and dolt.answers(dolt.port()):
            return 0
        time.sleep(0.02)
    print("gt (stand-in): the daemon did not come up", file=sys.stderr)
    return 1


def down(town: Path, *, everything: bool) -> int:
    """End the daemon and its sessions; the polecats only if `everything` goes."""
    pid = _pid(town)
    if pid is not None and is_running(town):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while is_running(town) and time.monotonic() < deadline:
            time.sleep(0.02)
    for name in SESSIONS:
        tmux.end(town, name)
    if everything:
        # What an agent does last, while it is told to end: only a sync after this has it.
        (town / ".runtime" / "last-down").write_text(_now())
        tmux.end_all(town)
    return 1 if is_running(town) else 0


def is_running(town: Path) -> bool:
    """Does somebody hold the lock?"""
    try:
        descriptor = os.open(town / "daemon" / "daemon.lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def live(folder: str) -> None:
    """Be the daemon until SIGTERM."""
    town = Path(folder)
    (town / "daemon").mkdir(parents=True, exist_ok=True)
    lock = os.open(town / "daemon" / "daemon.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("another daemon runs")
    ends = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ends.set())
    (town / "daemon" / "daemon.pid").write_text(f"{os.getpid()}\n{secrets.token_hex(8)}")
    dolt.serve(town)
    started, count = _now(), 0
    period = float(os.environ.get("GT_BEAT_SECONDS", "180"))
    while True:
        there = tmux.sessions(town)
        for name in SESSIONS:
            if name not in there:
                tmux.begin(town, name, ["sleep", "1000000"])
        polecats.mourn(town, there)
        if not (town / "ESTOP").exists():
            count += 1
            _beat(town, started, count, running=True)
        if ends.wait(period):
            break
    _beat(town, started, count, running=False)


def _beat(town: Path, started: str, count: int, *, running: bool) -> None:
    state = {
        "running": running,
        "pid": os.getpid(),
        "started_at": started,
        "last_heartbeat": _now(),
        "heartbeat_count": count,
    }
    write_json(town / "daemon" / "state.json", state)


def _pid(town: Path) -> int | None:
    try:
        return int((town / "daemon" / "daemon.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
