"""Finding and ending everything that a machine started, wherever it went.

A machine is a process tree whose members leave it (daemons, tmux servers). What they can't shed
is the environment they were born with, so each carries marks in it, and only what carries our
mark is ever signalled. On Linux the signal goes through a pidfd, so that a process id that was
given to somebody else in the meantime is not hit.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

DIR_MARK = "LOCALCLOUD_DIR"
RUN_MARK = "LOCALCLOUD_RUN"
MACHINE_MARK = "LOCALCLOUD_MACHINE"
_PROC = Path("/proc")


def marks(directory: Path, *, run: str | None = None, machine: str | None = None) -> dict[str, str]:
    """The marks of all processes of a local cloud, of one run of it, or of one machine."""
    found = {DIR_MARK: str(directory)}
    if run is not None:
        found[RUN_MARK] = run
    if machine is not None:
        found[MACHINE_MARK] = machine
    return found


def find(marked: Mapping[str, str]) -> list[int]:
    """The ids of all processes that carry these marks, but for ourselves."""
    return [pid for pid in _candidates() if pid != os.getpid() and _is_marked(pid, marked)]


def signal_all(marked: Mapping[str, str], number: int) -> int:
    """Signal all processes that carry these marks; returns how many there were."""
    return sum(_signal(pid, marked, number) for pid in find(marked))


def kill_all(marked: Mapping[str, str], timeout: float = 5.0) -> bool:
    """Kill all processes that carry these marks, also those that appear meanwhile.

    False if some are still there after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while signal_all(marked, signal.SIGKILL):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _candidates() -> Iterator[int]:
    if not _PROC.joinpath("self/environ").exists():
        yield from _ps()
        return
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            yield int(entry.name)


def _is_marked(pid: int, marked: Mapping[str, str]) -> bool:
    try:
        environ = (_PROC / str(pid) / "environ").read_bytes()
    except (OSError, ValueError):
        # Gone, a zombie, or somebody else's; elsewhere than on Linux `ps` has to tell.
        environ = _ps().get(pid, b"") if not _PROC.joinpath("self/environ").exists() else b""
    wanted = [f"{name}={value}".encode() for name, value in marked.items()]
    return bool(environ) and set(wanted) <= set(environ.split(b"\0"))


def _ps() -> dict[int, bytes]:
    """Where there is no /proc: the environment of our own processes, as far as `ps` shows it."""
    done = subprocess.run(["ps", "axeww", "-o", "pid=,command="], capture_output=True, check=False)
    lines = (line.split(None, 1) for line in done.stdout.splitlines())
    return {int(line[0]): line[1].replace(b" ", b"\0") for line in lines if len(line) == 2}


def _signal(pid: int, marked: Mapping[str, str], number: int) -> bool:
    try:
        if not hasattr(os, "pidfd_open"):
            os.kill(pid, number)
            return True
        descriptor = os.pidfd_open(pid)
        try:
            # Looked at again: from here on the descriptor means this very process.
            if not _is_marked(pid, marked):
                return False
            signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
    except (ProcessLookupError, PermissionError):
        return False
    return True
