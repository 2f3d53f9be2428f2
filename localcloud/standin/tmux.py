"""Sessions on the town's own tmux socket, where tmux is installed; nothing where it isn't."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .sockets import remove_socket, socket_name


def begin(town: Path, session: str, command: Sequence[str]) -> None:
    """Start a session, unless it is there."""
    if shutil.which("tmux") and session not in sessions(town):
        _tmux(town, "new-session", "-d", "-s", session, "-c", str(town), "--", *command)


def sessions(town: Path) -> set[str]:
    """All of the town's, by one call: a daemon looks at every beat."""
    if shutil.which("tmux") is None:
        return set()
    listed = _tmux(town, "list-sessions", "-F", "#{session_name}", stdout=subprocess.PIPE)
    return set(listed.stdout.split())


def end(town: Path, session: str) -> None:
    """End a session if it is there."""
    if shutil.which("tmux"):
        _tmux(town, "kill-session", "-t", f"={session}")


def end_all(town: Path) -> None:
    """End the server with all its sessions."""
    if shutil.which("tmux"):
        _tmux(town, "kill-server")
        remove_socket(town)


def _tmux(
    town: Path, *words: str, stdout: int = subprocess.DEVNULL
) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name != "TMUX"}
    return subprocess.run(
        ["tmux", "-L", socket_name(town), "-f", "/dev/null", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
