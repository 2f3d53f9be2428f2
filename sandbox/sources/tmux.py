"""The tmux sessions of the town: on its own socket, where a plain `tmux ls` sees none."""

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .. import commands

TIMEOUT = 3.0
_NO_SERVER = ("no server running", "No such file or directory", "Connection refused")


@dataclass(frozen=True, slots=True)
class Session:
    """One live session; `created_at` is None if tmux doesn't tell."""

    name: str
    created_at: datetime | None


def socket_names(town: Path) -> list[str]:
    """The socket that gastown uses for a town, `{basename}-{hash}`.

    gastown cleans the basename (session/registry.go of v1.0.1); the name as it is comes second
    where the two differ. `GT_TMUX_SOCKET` overrides both.
    """
    chosen = os.environ.get("GT_TMUX_SOCKET", "")
    if chosen not in ("", "default", "auto"):
        return [chosen]
    digest = hashlib.sha256(os.path.realpath(town).encode()).hexdigest()[:6]
    cleaned = re.sub(r"[^a-z0-9-]+", "-", town.name.lower()).strip("-") or "default"
    return list(dict.fromkeys([f"{cleaned}-{digest}", f"{town.name}-{digest}"]))


def list_sessions(town: Path, timeout: float = TIMEOUT) -> list[Session] | None:
    """The live sessions, or None if tmux gives no clear answer within `timeout` seconds.

    Where tmux is not installed there can be no session: gt uses the same PATH.
    """
    found: list[Session] = []
    for name in socket_names(town):
        sessions = _list(name, timeout)
        if sessions is None:
            return None
        found += sessions
    return found


def _list(socket_name: str, timeout: float) -> list[Session] | None:
    shape = "#{session_created} #{session_name}"
    environment = commands.environment()
    environment.pop("TMUX", None)
    try:
        done = subprocess.run(
            ["tmux", "-L", socket_name, "list-sessions", "-F", shape],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        return []
    except (subprocess.TimeoutExpired, OSError, UnicodeDecodeError):
        return None
    if done.returncode != 0:
        return [] if any(text in done.stderr for text in _NO_SERVER) else None
    return [_session(line) for line in done.stdout.splitlines() if " " in line]


def _session(line: str) -> Session:
    created, name = line.split(" ", 1)
    created_at = datetime.fromtimestamp(int(created), UTC) if created.isdigit() else None
    return Session(name, created_at)
