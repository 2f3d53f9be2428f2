"""One sync: the town as it is now becomes the newest snapshot in R2.

1. Read the pointer; refuse if a newer generation wrote it.
2. Upload all files under a name greater than any before.
3. Weigh the snapshot (shrink guard), then write its manifest.
4. Swap latest.json by a conditional write; if somebody was faster, look again.
5. Delete what is no longer kept, and rests of interrupted uploads.
"""

import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from . import clock, retention, snapshot
from .errors import Corrupt, Missing, Refused, Stopped, Unavailable
from .manifest import Manifest, Pointer
from .store import Store, StoredPointer

logger = logging.getLogger(__name__)

_SWAP_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Synced:
    """A snapshot that is stored whole. `held` is the shrink guard's reason, if it kept it back."""

    snapshot: str
    generation: int
    files: int
    bytes: int
    created_at: datetime
    held: str | None


class Syncer:
    """Backs one town up. `clock` is passed in for tests."""

    def __init__(
        self,
        store: Store,
        town: Path,
        scratch: Path,
        generation: int,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._store = store
        self._town = town
        self._scratch = scratch
        self._generation = generation
        self._now = now
        self._lock = threading.Lock()

    def sync(self, stopping: Callable[[], bool], gt_version: str | None = None) -> Synced:
        """Make one snapshot. `stopping` is asked between and during uploads.

        Raises Refused (fencing), BackupError, CommandError or OSError (the town can't be read),
        Unavailable or Corrupt (R2), Stopped. In each case latest.json is as it was.
        """
        with self._lock:
            self._refuse_if_fenced(self._store.pointer())
            created_at = self._now()
            timestamp = self._next_timestamp(created_at)
            files = self._upload(timestamp, stopping)
            manifest = Manifest(timestamp, clock.iso(created_at) or "", gt_version, files)
            held = self._publish(manifest)
            self._clean_up(timestamp)
            return Synced(
                snapshot=timestamp,
                generation=self._generation,
                files=len(files),
                bytes=manifest.total_bytes,
                created_at=created_at,
                held=held,
            )

    def _refuse_if_fenced(self, seen: StoredPointer | None) -> None:
        if seen is not None and seen.pointer.generation > self._generation:
            raise Refused(
                f"latest.json is of generation {seen.pointer.generation}, this machine of "
                f"{self._generation}: a newer machine has the town, nothing was backed up"
            )

    def _next_timestamp(self, created_at: datetime) -> str:
        taken = [stored.timestamp for stored in self._store.snapshots()]
        seen = self._store.pointer()
        if seen is not None:
            taken.append(seen.pointer.timestamp)
        return clock.next_stamp(created_at, taken)

    def _upload(
        self, timestamp: str, stopping: Callable[[], bool]
    ) -> tuple[snapshot.FileEntry, ...]:
        """Write and upload one file after the other: scratch space for the largest is enough."""

        def check(sent: int = 0) -> None:
            if stopping():
                raise Stopped("the sync was given up for the last one")

        entries = []
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True)
        try:
            for part in snapshot.parts_of(self._town):
                check()
                file = self._scratch / part.path.replace("/", "-")
                part.write(file)
                entry = snapshot.entry_of(part.path, file)
                self._store.upload(timestamp, part.path, file, check)
                file.unlink()
                entries.append(entry)
        except Unavailable:
            # An upload that `check` broke off comes back as a failed one.
            check()
            raise
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
        return tuple(entries)

    def _publish(self, manifest: Manifest) -> str | None:
        """Make the snapshot count, or hold it. Returns the shrink guard's reason or None.

        held.json is written before the manifest: no moment at which a snapshot that shrank looks
        like a good one.
        """
        written = False
        for _ in range(_SWAP_ATTEMPTS):
            seen = self._store.pointer()
            pointer = Pointer(manifest.timestamp, self._generation)
            if seen is not None and seen.pointer == pointer:
                return None  # a write that landed although its answer was lost
            try:
                self._refuse_if_fenced(seen)
                self._refuse_if_older(seen, manifest.timestamp)
            except Refused:
                self._discard(manifest.timestamp)
                raise
            reason = self._weigh(manifest, seen)
            if not written:
                self._store.put_manifest(manifest)
                written = True
            if reason is not None:
                return reason
            if self._store.swap_pointer(pointer, seen):
                self._accept(seen)
                return None
        raise Unavailable("latest.json changes faster than it can be swapped")

    def _accept(self, replaced: StoredPointer | None) -> None:
        """A held snapshot that latest.json pointed to was accepted by staff: good from now on."""
        if replaced is not None:
            try:
                self._store.release(replaced.pointer.timestamp)
            except Unavailable as error:
                logger.warning("the accepted snapshot keeps its mark: %s", error)

    def _refuse_if_older(self, seen: StoredPointer | None, timestamp: str) -> None:
        if seen is not None and seen.pointer.timestamp >= timestamp:
            raise Refused(
                f"latest.json has moved on to {seen.pointer.timestamp} meanwhile: another machine "
                "backs this town up"
            )

    def _weigh(self, manifest: Manifest, seen: StoredPointer | None) -> str | None:
        """The shrink guard: marks the snapshot and returns why it must not become latest."""
        previous = self._previous(seen)
        if previous is None or not retention.shrank(manifest.total_bytes, previous.total_bytes):
            return None
        reason = (
            f"snapshot {manifest.timestamp} ({manifest.total_bytes} bytes) is less than a fifth of "
            f"{previous.timestamp} ({previous.total_bytes} bytes): stored, but held for staff to "
            "decide"
        )
        self._store.put_held(
            manifest.timestamp,
            {
                "timestamp": manifest.timestamp,
                "created_at": manifest.created_at,
                "reason": reason,
                "bytes": manifest.total_bytes,
                "previous": previous.timestamp,
                "previous_bytes": previous.total_bytes,
            },
        )
        return reason

    def _previous(self, seen: StoredPointer | None) -> Manifest | None:
        """The manifest that latest.json points to, or the newest readable one before it."""
        if seen is None:
            return None
        latest = seen.pointer.timestamp
        older = [
            stored.timestamp
            for stored in self._store.snapshots()
            if stored.timestamp < latest and stored.complete and not stored.held
        ]
        for timestamp in [latest, *reversed(older)]:
            try:
                return self._store.manifest(timestamp)
            except (Missing, Corrupt) as error:
                logger.warning("can't compare with snapshot %s: %s", timestamp, error)
        return None

    def _discard(self, timestamp: str) -> None:
        """Take back a snapshot that was refused: it would pass for a good one later."""
        for stored in self._store.snapshots():
            if stored.timestamp == timestamp:
                self._store.delete(stored)

    def _clean_up(self, current: str) -> None:
        """The backup is good by now: what can't be deleted today is deleted by the next sync."""
        try:
            seen = self._store.pointer()
            latest = seen.pointer.timestamp if seen else None
            for stored in retention.to_delete(self._store.snapshots(), latest, current):
                self._store.delete(stored)
                logger.info("deleted snapshot %s", stored.timestamp)
            self._store.abort_uploads()
        except (Unavailable, Missing, Corrupt) as error:
            logger.warning("old snapshots were not cleaned up: %s", error)
