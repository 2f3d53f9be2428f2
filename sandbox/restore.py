"""Restoring a town from R2 onto an empty volume.

1. Which snapshots may be restored: the one that latest.json points to, then older ones.
2. Take the first that is sound: every file there, with its size and SHA-256, and it unpacks.
3. Move it in (volume.py).
"""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from . import snapshot
from .errors import CommandError, Corrupt, Missing, Stopped
from .store import Store
from .volume import Staged, Volume

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The snapshots to try, best first. `problem` tells what is wrong with latest.json, if so."""

    timestamps: tuple[str, ...]
    problem: str | None = None


def find_candidates(store: Store) -> Candidates | None:
    """The snapshots that a restore may use, or None if there is no backup: a new town.

    A snapshot newer than latest.json never became the latest, and one that is held has shrunk:
    neither is used. Raises Unavailable.
    """
    stored = [one.timestamp for one in store.snapshots() if one.complete and not one.held]
    stored.reverse()
    try:
        seen = store.pointer()
    except Corrupt as error:
        return Candidates(tuple(stored), str(error))
    if seen is None:
        return Candidates(tuple(stored), "latest.json is missing") if stored else None
    latest = seen.pointer.timestamp
    return Candidates((latest, *(one for one in stored if one < latest)))


def restore(
    store: Store,
    volume: Volume,
    candidates: Candidates,
    stopping: Callable[[], bool],
    on_corrupt: Callable[[str], None] = lambda _name: None,
) -> Staged:
    """Restore the best sound snapshot; returns which, and what was passed over.

    `on_corrupt` hears of each snapshot that is passed over, and of `latest.json`.

    Raises Corrupt if none is sound, Unavailable, CommandError (a program is missing), OSError
    (no room), Stopped. In each of these cases the volume has no town.
    """
    problems = [candidates.problem] if candidates.problem else []
    if candidates.problem:
        on_corrupt("latest.json")
    for timestamp in candidates.timestamps:
        volume.clear_staging()
        try:
            _stage(store, volume, timestamp, stopping)
        except (Corrupt, Missing) as error:
            logger.error("snapshot %s is corrupt: %s", timestamp, error)
            problems.append(f"snapshot {timestamp} is corrupt: {error}")
            on_corrupt(timestamp)
            continue
        error_text = f"{'; '.join(problems)}; restored {timestamp}" if problems else None
        volume.mark_staged(Staged(timestamp, error_text))
        return volume.move_in()
    volume.drop_staging()
    raise Corrupt("; ".join(problems) or "latest.json points to nothing that can be restored")


def _stage(store: Store, volume: Volume, timestamp: str, stopping: Callable[[], bool]) -> None:
    """Download, check and unpack one snapshot into the staging folder."""
    manifest = store.manifest(timestamp)
    for entry in manifest.files:
        if stopping():
            raise Stopped("the restore was stopped; the next start begins it anew")
        store.download(timestamp, entry, volume.downloads / entry.path)
    paths = [entry.path for entry in manifest.files]
    try:
        snapshot.unpack_parts(volume.downloads, paths, volume.staging)
    except CommandError:
        shutil.rmtree(volume.staging, ignore_errors=True)
        raise
