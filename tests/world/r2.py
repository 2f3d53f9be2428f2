"""R2 in memory: pointers, snapshots and what can be wrong with them."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial

from towns.services.errors import Conflict, ServiceError
from towns.services.r2_types import (
    LifecycleRule,
    Manifest,
    ManifestFile,
    Pointer,
    Survey,
    Verification,
    live_prefix,
    retained_prefix,
)

from .calls import external
from .faults import Faults
from .happenings import Record
from .things import Folder, Latest, Snapshot
from .timeline import Timeline

DAY_SECONDS = 24 * 60 * 60
FILES = 3


class FakeR2:
    """The bucket. Fakes `R2`; the sandboxes use the methods without `external` from inside."""

    service = "r2"

    def __init__(self, timeline: Timeline, faults: Faults, record: Record) -> None:
        self.timeline = timeline
        self.faults = faults
        self.record = record
        self.folders: dict[str, Folder] = {}
        self.retention_days = 30
        self.may_lose: set[str] = set()
        """Prefixes whose data may go without a copy: somebody chose to discard."""
        self.forgiven: set[str] = set()
        """Marks that were made too late to be in a last backup."""
        self._writes = 0

    def folder(self, prefix: str) -> Folder:
        """What is below a prefix."""
        return self.folders.setdefault(prefix, Folder())

    def live(self, town_id: object) -> Folder:
        """The live backups of a town."""
        return self.folder(live_prefix(str(town_id)))

    def retained(self, town_id: object) -> Folder:
        """The retained backup of a town."""
        return self.folder(retained_prefix(str(town_id)))

    def is_kept(self, town_id: str, mark: str) -> bool:
        """Whether any whole snapshot of a town has a mark."""
        return any(
            mark in snapshot.data.marks
            for folder in (self.live(town_id), self.retained(town_id))
            for snapshot in folder.snapshots.values()
            if snapshot.is_whole
        )

    def has_backup(self, town_id: str) -> bool:
        """Whether any snapshot of a town is whole."""
        folders = (self.live(town_id), self.retained(town_id))
        return any(one.is_whole for folder in folders for one in folder.snapshots.values())

    def point(self, prefix: str, timestamp: str, generation: int) -> None:
        """Swap latest.json; Conflict where a higher generation has written it."""
        folder = self.folder(prefix)
        if folder.latest is not None and folder.latest.generation > generation:
            raise Conflict(f"{prefix} was written by generation {folder.latest.generation}.")
        self._writes += 1
        folder.latest = Latest(timestamp, generation, f"etag-{self._writes}")
        self.record.note("pointer", prefix, timestamp)

    def ping(self) -> bool:
        try:
            self.faults.after(self.faults.before("r2.ping", ""))
        except ServiceError:
            return False
        return True

    @external
    def read_pointer(self, prefix: str) -> Pointer | None:
        latest = self.folder(prefix).latest
        return Pointer(latest.timestamp, latest.generation, latest.etag) if latest else None

    @external
    def write_pointer(self, prefix: str, timestamp: str, generation: int) -> None:
        latest = self.folder(prefix).latest
        if latest is not None and latest.timestamp > timestamp:
            raise Conflict(f"{prefix} names {latest.timestamp}, which is newer than {timestamp}.")
        self.point(prefix, timestamp, generation)

    @external
    def list_snapshots(self, prefix: str) -> list[str]:
        return sorted(self.folder(prefix).snapshots, reverse=True)

    @external
    def read_manifest(self, prefix: str, timestamp: str) -> Manifest | None:
        snapshot = self.folder(prefix).snapshots.get(timestamp)
        if snapshot is None or not snapshot.complete:
            return None
        file = ManifestFile("config.tar", snapshot.data.size, "0" * 64)
        return Manifest(timestamp, snapshot.created_at, "1.0.1", (file,))

    @external
    def verify(self, prefix: str, timestamp: str, *, checksums: bool = False) -> Verification:
        return self._check(prefix, timestamp, checksums=checksums)

    @external
    def verify_latest(self, prefix: str) -> Verification | None:
        return self._check_latest(prefix)

    @external
    def newest_verified(self, prefix: str, *, without: Collection[str] = ()) -> Verification | None:
        latest = self._check_latest(prefix)
        if latest is not None and latest.ok and latest.timestamp not in without:
            return latest
        folder = self.folder(prefix)
        for timestamp in sorted(folder.snapshots, reverse=True):
            if (latest is not None and timestamp >= latest.timestamp) or timestamp in without:
                continue
            found = self._check(prefix, timestamp)
            if found.ok and not folder.snapshots[timestamp].held:
                return found
        return None

    @external
    def survey(self, prefix: str) -> Survey:
        folder = self.folder(prefix)
        latest = self._check_latest(prefix)
        pointed = latest.timestamp if latest else ""
        held = [
            name
            for name, one in folder.snapshots.items()
            if one.held and one.complete and name > pointed
        ]
        complete = sorted(
            (name for name, s in folder.snapshots.items() if s.complete), reverse=True
        )
        newest = self._check(prefix, max(held)) if held else None
        return Survey(latest, newest, tuple(complete))

    def survey_many(
        self, prefixes: Sequence[str], *, concurrency: int
    ) -> list[Survey | ServiceError]:
        found: list[Survey | ServiceError] = []
        for prefix in prefixes:
            try:
                found.append(self.survey(prefix))
            except ServiceError as error:
                found.append(error)
        return found

    @external
    def copy_snapshot(
        self,
        source_prefix: str,
        target_prefix: str,
        timestamp: str,
        *,
        on_file: Callable[[str], None] | None = None,
    ) -> Verification:
        source = self._check(source_prefix, timestamp)
        if not source.ok:
            return source
        original = self.folder(source_prefix).snapshots[timestamp]
        target = self.folder(target_prefix)
        target.snapshots[timestamp] = Snapshot(
            timestamp,
            original.created_at,
            original.data,
            self.timeline.now(),
            complete=True,
            bad_checksum=original.bad_checksum,
        )
        found = self._check(target_prefix, timestamp, checksums=True)
        if not found.ok:
            del target.snapshots[timestamp]
            return found
        self.record.note("copied", target_prefix, timestamp)
        if target_prefix.startswith("retained/"):
            expire = partial(self._expire, target_prefix, timestamp)
            self.timeline.later(self.retention_days * DAY_SECONDS, expire)
        return found

    @external
    def empty(self, prefix: str) -> int:
        folder = self.folders.pop(prefix, Folder())
        town_id = prefix.split("/")[1]
        marks = {
            mark
            for snapshot in folder.snapshots.values()
            if snapshot.is_whole and not snapshot.held
            for mark in snapshot.data.marks
        }
        lost = [mark for mark in sorted(marks) if not self.is_kept(town_id, mark)]
        lost = [mark for mark in lost if mark not in self.forgiven]
        if prefix.startswith("gastown/") and lost and prefix not in self.may_lose:
            self.record.violate(f"{prefix} was emptied, and with it went {lost}")
        self.record.note("emptied", prefix)
        return FILES * len(folder.snapshots)

    def get_lifecycle_rules(self) -> list[LifecycleRule]:
        return [LifecycleRule("gastown-retained", "retained/", self.retention_days, True)]

    def ensure_lifecycle(self, days: int) -> bool:
        changed, self.retention_days = days != self.retention_days, days
        return changed

    @external
    def list_retained_towns(self) -> list[str]:
        return [
            prefix.split("/")[1]
            for prefix, folder in self.folders.items()
            if prefix.startswith("retained/") and folder.snapshots
        ]

    @external
    def expire_retained(
        self,
        before: datetime,
        *,
        dry_run: bool = False,
        enough: Callable[[], bool] = lambda: False,
    ) -> int:
        gone = 0
        for prefix, folder in self.folders.items():
            for timestamp, snapshot in list(folder.snapshots.items()):
                if prefix.startswith("retained/") and snapshot.uploaded_at < before:
                    if not dry_run:
                        del folder.snapshots[timestamp]
                    gone += FILES
        return gone

    def _check_latest(self, prefix: str) -> Verification | None:
        latest = self.folder(prefix).latest
        if latest is None:
            return None
        return self._check(prefix, latest.timestamp, generation=latest.generation)

    def _check(
        self,
        prefix: str,
        timestamp: str,
        *,
        generation: int | None = None,
        checksums: bool = False,
    ) -> Verification:
        snapshot = self.folder(prefix).snapshots.get(timestamp)
        if snapshot is None or not snapshot.complete:
            return Verification(False, "its manifest is missing", timestamp, generation=generation)
        problem = ""
        if snapshot.missing_file:
            problem = "config.tar is missing"
        elif checksums and snapshot.bad_checksum:
            problem = "config.tar has another SHA-256"
        return Verification(
            ok=not problem,
            problem=problem,
            timestamp=timestamp,
            created_at=snapshot.created_at,
            bytes=snapshot.data.size,
            files=FILES,
            generation=generation,
        )

    def _expire(self, prefix: str, timestamp: str) -> None:
        snapshot = self.folder(prefix).snapshots.get(timestamp)
        age = timedelta(days=self.retention_days)
        if snapshot is not None and self.timeline.now() - snapshot.uploaded_at >= age:
            del self.folder(prefix).snapshots[timestamp]
            self.record.note("expired", prefix, timestamp)
