"""The gt daemon: runs it, and when did it last beat?"""

import fcntl
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .. import clock
from .jsonfile import read_object


@dataclass(frozen=True, slots=True)
class Daemon:
    """`daemon` of /health. `running` is None only if the lock file can't be looked at."""

    running: bool | None
    pid: int | None
    last_heartbeat_at: datetime | None
    heartbeat_count: int | None


def read_daemon(town: Path) -> Daemon:
    """The daemon of a town: the lock tells whether it runs, its files tell the rest."""
    folder = town / "daemon"
    running = is_locked(folder / "daemon.lock")
    state = read_object(folder / "state.json") or {}
    count = state.get("heartbeat_count")
    return Daemon(
        running=running,
        pid=_pid(folder / "daemon.pid") if running else None,
        last_heartbeat_at=clock.parse_iso(state.get("last_heartbeat")),
        heartbeat_count=count if isinstance(count, int) else None,
    )


def is_locked(path: Path) -> bool | None:
    """Does somebody hold the flock on a file? A file that is missing is held by nobody.

    Asked with a shared lock that is given back at once, so that asking twice is no conflict.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _pid(path: Path) -> int | None:
    """The first line of `PID\\nNONCE`."""
    try:
        pid = int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if pid > 0 else None
