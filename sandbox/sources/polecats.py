"""The polecats: which sessions are theirs, and which of them work.

A session that is alive is active unless its heartbeat says `idle`. Only `gt` commands touch the
heartbeat, so a long build looks stale while it works: a live session counts as active until 30
minutes after its last sign of life (its heartbeat, or else its beginning), then no more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from .. import clock
from ..errors import BackupError
from ..rigs import read_rigs
from .jsonfile import read_object
from .tmux import Session

QUIET_LIMIT = timedelta(minutes=30)
_OTHER_ROLES = ("witness", "refinery")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`.runtime/heartbeats/{session}.json`; v1 has no state, which means working."""

    timestamp: datetime
    state: str


@dataclass(frozen=True, slots=True)
class Polecats:
    """`polecats` of /health."""

    active: int
    total: int


def count_polecats(
    town: Path, sessions: Sequence[Session] | None, now: datetime
) -> Polecats | None:
    """Count the polecats among the live sessions. None if the sessions or rigs are unknown."""
    if sessions is None:
        return None
    try:
        prefixes = [rig.prefix for rig in read_rigs(town) if rig.prefix]
    except BackupError:
        return None
    polecats = [session for session in sessions if is_polecat(session.name, prefixes)]
    active = [one for one in polecats if is_active(one, read_heartbeat(town, one.name), now)]
    return Polecats(len(active), len(polecats))


def is_polecat(session: str, prefixes: Iterable[str]) -> bool:
    """Is a session `{prefix}-{name}` a polecat's? The longest prefix that fits is its rig's."""
    for prefix in sorted(prefixes, key=len, reverse=True):
        if session.startswith(f"{prefix}-"):
            name = session[len(prefix) + 1 :]
            return bool(name) and name not in _OTHER_ROLES and not name.startswith("crew-")
    return False


def is_active(session: Session, heartbeat: Heartbeat | None, now: datetime) -> bool:
    """Does a live polecat session work? See the head of this file."""
    created = session.created_at
    if heartbeat is not None and created is not None and heartbeat.timestamp < created:
        heartbeat = None  # of an earlier polecat: names are used again
    if heartbeat is not None:
        return heartbeat.state != "idle" and now - heartbeat.timestamp <= QUIET_LIMIT
    return created is None or now - created <= QUIET_LIMIT


def read_heartbeat(town: Path, session: str) -> Heartbeat | None:
    """The heartbeat of a session; None if it is missing or malformed."""
    values = read_object(town / ".runtime" / "heartbeats" / f"{session}.json") or {}
    timestamp = clock.parse_iso(values.get("timestamp"))
    if timestamp is None:
        return None
    return Heartbeat(timestamp, str(values.get("state") or "working"))
