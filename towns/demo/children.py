"""The demo's processes: started with a log each, and ended with everything they started."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

GRACE_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1


class Children:
    """Ends all of them, the last one first, when its block is left, however that happens."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[tuple[str, subprocess.Popen[str]]] = []

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave half of them behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for name, process in reversed(self._running):
            end(process, name)

    def start(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        stdout: int | None = None,
        log: bool = True,
    ) -> subprocess.Popen[str]:
        """Start one in a session of its own, so that Ctrl-C reaches only us."""
        target = (self._logs / f"{name}.log").open("a") if log else None
        try:
            process = subprocess.Popen(
                command,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=stdout if stdout is not None else target,
                stderr=target,
                text=True,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        finally:
            if target is not None:
                target.close()
        self._running.append((name, process))
        return process

    def log_of(self, name: str) -> Path:
        """Where it writes."""
        return self._logs / f"{name}.log"

    def ended(self) -> tuple[str, int] | None:
        """The first that ended by itself, with its exit code; None while all run."""
        for name, process in self._running:
            if (code := process.poll()) is not None:
                return name, code
        return None


def end(process: subprocess.Popen[str], name: str) -> None:
    """Ask a process to end, wait, then kill whatever is left of its session."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"{name} does not end; it is killed.", file=sys.stderr)
    deadline = time.monotonic() + 5
    while _signal_group(process.pid, signal.SIGKILL) and time.monotonic() < deadline:
        process.poll()
        time.sleep(0.02)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)


def _signal_group(group: int, number: int) -> bool:
    """Signal a process group; False when nobody is left in it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _die_with_parent() -> None:
    """Linux ends us when the demo is killed outright."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
