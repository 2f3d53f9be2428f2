"""Polecats: sessions that work, and say in their heartbeat when they are idle."""

import shutil
import sys
import time
from collections.abc import Set
from datetime import UTC, datetime
from pathlib import Path

from . import tmux
from .town import PREFIX, write_json


def order(town: Path, name: str, how: str, seconds: float | None) -> int:
    """Have a polecat work (for some seconds, then it is idle), be idle, or end."""
    if shutil.which("tmux") is None:
        print("gt (stand-in): polecats need tmux", file=sys.stderr)
        return 1
    session = f"{PREFIX}-{name}"
    if how == "end":
        tmux.end(town, session)
        (_heartbeat(town, session)).unlink(missing_ok=True)
        return 0
    command = ["sleep", "1000000"]
    if how == "work" and seconds is not None:
        tmux.end(town, session)
        life = ["standin", "polecat-life", str(town), session, str(seconds)]
        command = [sys.executable, "-S", "-m", "localcloud.standin", *life]
    tmux.begin(town, session, command)
    beat(town, session, "idle" if how == "idle" else "working")
    return 0


def live(folder: str, session: str, seconds: float) -> None:
    """Work for a while, then be idle until told to end."""
    town = Path(folder)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        beat(town, session, "working")
        time.sleep(min(5.0, max(0.05, until - time.monotonic())))
    beat(town, session, "idle")
    while True:
        time.sleep(3600)


def mourn(town: Path, there: Set[str]) -> None:
    """The daemon's duty: forget the heartbeats of polecats whose sessions are no more."""
    folder = town / ".runtime" / "heartbeats"
    if folder.is_dir():
        for file in folder.glob("*.json"):
            if file.stem not in there:
                file.unlink(missing_ok=True)


def beat(town: Path, session: str, state: str) -> None:
    """Write the heartbeat, as only `gt` commands do."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    document = {"timestamp": now, "state": state, "context": "stand-in", "bead": ""}
    write_json(_heartbeat(town, session), document)


def _heartbeat(town: Path, session: str) -> Path:
    return town / ".runtime" / "heartbeats" / f"{session}.json"
