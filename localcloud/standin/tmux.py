"""Sessions on the town's own tmux socket, where tmux is installed; nothing where it isn't."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .sockets import remove_socket, socket_name


def begin(town: Path, session: str, command: Sequence[str]) -> None:
    """Start a session, unless it is there."""
    if shutil.which("tmux") and not is_there(town, session):
        _tmux(town, "new-session", "-d", "-s", session, "-c", str(town), "--", *command)


def is_there(town: Path, session: str) -> bool:
    """Is there such a session?"""
    return shutil.which("tmux") is not None and _tmux(town, "has-session", "-t", f"={session}") == 0


def end(town: Path, session: str) -> None:
    """End a session if it is there."""
    if shutil.which("tmux"):
        _tmux(town, "kill-session", "-t", f"={session}")


def end_all(town: Path) -> None:
    """End the server with all its sessions."""
    if shutil.which("tmux"):
        _tmux(town, "kill-server")
        remove_socket(town)


def _tmux(town: Path, *words: str) -> int:
    environment = {name: value for name, value in os.environ.items() if name != "TMUX"}
    return subprocess.run(
        ["tmux", "-L", socket_name(town), "-f", "/dev/null", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    ).returncode
