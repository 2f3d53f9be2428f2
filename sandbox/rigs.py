"""The rigs of a town, from `mayor/rigs.json`."""

import json
from dataclasses import dataclass
from pathlib import Path

from .errors import BackupError


@dataclass(frozen=True, slots=True)
class Rig:
    """One rig: its folder in the town, where its repository came from, its sessions' prefix."""

    name: str
    git_url: str | None
    prefix: str | None


def is_plain_name(name: str) -> bool:
    """May this be the name of a folder or file: one part, not hidden, leading nowhere else?"""
    return bool(name) and not name.startswith(".") and "/" not in name and "\0" not in name


def read_rigs(town: Path) -> list[Rig]:
    """The registered rigs. Raises BackupError if the file is missing or malformed: that is
    unknown, not "no rigs"."""
    path = town / "mayor" / "rigs.json"
    try:
        entries = json.loads(path.read_text())["rigs"] or {}
        return [_rig(name, entry) for name, entry in sorted(entries.items())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(f"mayor/rigs.json can't be read: {type(error).__name__}") from error


def _rig(name: str, entry: dict[str, object]) -> Rig:
    if not is_plain_name(name):
        raise ValueError(name)
    beads = entry.get("beads")
    prefix = beads.get("prefix") if isinstance(beads, dict) else None
    git_url = entry.get("git_url")
    return Rig(
        name=name,
        git_url=git_url if isinstance(git_url, str) and git_url else None,
        prefix=prefix if isinstance(prefix, str) and prefix else None,
    )
