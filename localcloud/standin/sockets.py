"""The tmux socket of a town: `{basename}-{first 6 hex digits of sha256(its real path)}`."""

import contextlib
import hashlib
import os
import re
from pathlib import Path


def socket_name(town: Path) -> str:
    """For `tmux -L`. gastown cleans the basename; where it is clean already, nothing changes."""
    digest = hashlib.sha256(os.path.realpath(town).encode()).hexdigest()[:6]
    cleaned = re.sub(r"[^a-z0-9-]+", "-", town.name.lower()).strip("-") or "default"
    return f"{cleaned}-{digest}"


def remove_socket(town: Path) -> None:
    """Remove the socket's file, which tmux leaves behind."""
    folder = Path(os.environ.get("TMUX_TMPDIR") or "/tmp") / f"tmux-{os.getuid()}"
    with contextlib.suppress(OSError):
        (folder / socket_name(town)).unlink()
