"""The backups in R2: what is there, whether it is whole, copying and emptying (r2.md).

Every method raises the errors of `errors.py`: Unavailable when nothing is known, Misconfigured
when keys, bucket or clock are wrong. None means a definite absence.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from itertools import takewhile

from .errors import Conflict, Corrupt, ServiceError
from .r2_documents import is_stamp, parse_manifest, parse_pointer, pointer_body
from .r2_lifecycle import RETAINED, RULE_ID, ensure_rule, lifecycle_rules
from .r2_store import Store
from .r2_survey import HELD, MANIFEST, differences, group, summary
from .r2_types import (
    LifecycleRule,
    Manifest,
    ManifestFile,
    Pointer,
    R2Config,
    Survey,
    Verification,
    live_prefix,
    retained_prefix,
)
from .results import OnResult, ignore

__all__ = [
    "RULE_ID",
    "LifecycleRule",
    "Manifest",
    "ManifestFile",
    "Pointer",
    "R2Client",
    "R2Config",
    "Survey",
    "Verification",
    "live_prefix",
    "retained_prefix",
]
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TOWN_PREFIX = re.compile(rf"(?:gastown|retained)/{_UUID}/")
_RETAINED_KEY = re.compile(rf"{RETAINED}{_UUID}/.+")


class R2Client:
    """Thread-safe. A `prefix` is that of one town: `live_prefix` or `retained_prefix`."""

    def __init__(self, config: R2Config, *, on_result: OnResult = ignore) -> None:
        self._store = Store(config, on_result)

    def ping(self) -> bool:
        """Whether R2 answers at all: anything below 500 counts. Never raises."""
        return self._store.answers()

    def read_pointer(self, prefix: str) -> Pointer | None:
        """latest.json; None when there is none. Raises Corrupt if it can't be understood."""
        key = _pointer_key(prefix)
        found = self._store.read(key)
        return None if found is None else parse_pointer(found[0], key, found[1])

    def write_pointer(self, prefix: str, timestamp: str, generation: int) -> None:
        """Have latest.json name a snapshot.

        Raises Conflict when a machine of a higher generation has written it, when it names a newer
        snapshot, or when somebody else writes it at the same time: it never moves back.
        """
        if not is_stamp(timestamp):
            raise ValueError(f"“{timestamp}” is not the name of a snapshot")
        key = _pointer_key(prefix)
        found = self._store.read(key)
        if found is not None:
            try:
                present = parse_pointer(found[0], key, found[1])
            except Corrupt:
                present = None  # nobody can use it as it is
            if present is not None and present.generation > generation:
                raise Conflict(
                    f"{key} was written by generation {present.generation}; ours is {generation}."
                )
            if present is not None and present.timestamp > timestamp:
                raise Conflict(
                    f"{key} names snapshot {present.timestamp}, which is newer than {timestamp}."
                )
        self._store.swap(key, pointer_body(timestamp, generation), found[1] if found else None)

    def list_snapshots(self, prefix: str) -> list[str]:
        """The names of all snapshots, whole or not, newest first."""
        names = self._store.folders(f"{prefix}snapshots/")
        return sorted(filter(is_stamp, names), reverse=True)

    def read_manifest(self, prefix: str, timestamp: str) -> Manifest | None:
        """A snapshot's manifest; None when there is none. Raises Corrupt."""
        key = _folder(prefix, timestamp) + MANIFEST
        found = self._store.read(key)
        return None if found is None else parse_manifest(found[0], key, timestamp)

    def verify(self, prefix: str, timestamp: str, *, checksums: bool = False) -> Verification:
        """See that a snapshot's manifest is there and every file in it with its size.

        With `checksums` all files are read and their SHA-256 compared, which takes time.
        """
        return self._check(prefix, timestamp, checksums=checksums)[0]

    def verify_latest(self, prefix: str) -> Verification | None:
        """Verify the snapshot that the pointer names; None when there is no pointer at all.

        A pointer that can't be understood is a problem, with an empty timestamp.
        """
        try:
            pointer = self.read_pointer(prefix)
        except Corrupt as error:
            return Verification(ok=False, problem=error.message, timestamp="")
        if pointer is None:
            return None
        return self._check(prefix, pointer.timestamp, generation=pointer.generation)[0]

    def newest_verified(self, prefix: str, *, without: Collection[str] = ()) -> Verification | None:
        """The newest snapshot that is whole: the latest, else an older one; None if none is.

        One that is newer than the pointer was never made the latest, and one that the shrink
        guard held back is for staff to accept: neither is taken, nor are those in `without`.
        """
        latest = self.verify_latest(prefix)
        if latest is not None and latest.ok and latest.timestamp not in without:
            return latest
        limit = latest.timestamp if latest is not None else ""
        for timestamp in self.list_snapshots(prefix):
            if (limit and timestamp >= limit) or timestamp in without:
                continue
            found, held = self._check(prefix, timestamp)
            if found.ok and not held:
                return found
        return None

    def survey(self, prefix: str) -> Survey:
        """Verify the latest snapshot, and see which others there are: four calls at most."""
        pointer, latest = None, None
        try:
            pointer = self.read_pointer(prefix)
        except Corrupt as error:
            latest = Verification(False, error.message, "")
        seen = group(self._store.list(f"{prefix}snapshots/"), f"{prefix}snapshots/")
        if pointer is not None:
            there = seen.get(pointer.timestamp)
            latest = self._verified(prefix, pointer.timestamp, there.sizes if there else {})
            latest = replace(latest, generation=pointer.generation)
        newer = [
            one
            for one in seen.values()
            if one.held and one.complete and (pointer is None or one.name > pointer.timestamp)
        ]
        held = max(newer, key=lambda one: one.name, default=None)
        return Survey(
            latest,
            self._verified(prefix, held.name, held.sizes) if held else None,
            tuple(sorted((one.name for one in seen.values() if one.complete), reverse=True)),
        )

    def survey_many(
        self, prefixes: Sequence[str], *, concurrency: int
    ) -> list[Survey | ServiceError]:
        """Survey all of them, at most `concurrency` at a time; answers in the order asked.

        An error is an answer too: of that prefix nothing is known.
        """
        if not prefixes:
            return []

        def look(prefix: str) -> Survey | ServiceError:
            try:
                return self.survey(prefix)
            except ServiceError as error:
                return error

        workers = max(1, min(concurrency, len(prefixes)))
        with ThreadPoolExecutor(workers, thread_name_prefix="survey") as pool:
            return list(pool.map(look, prefixes))

    def copy_snapshot(
        self,
        source_prefix: str,
        target_prefix: str,
        timestamp: str,
        *,
        on_file: Callable[[str], None] | None = None,
    ) -> Verification:
        """Copy a snapshot, its manifest last, and verify the copy with its checksums.

        It can be repeated: what is there with its size isn't copied again, and a copy whose
        checksum is wrong is removed so that the next try makes it anew. `on_file` hears of each
        path before it is copied and before it is checked.
        """
        tell = on_file or (lambda _path: None)
        source, target = _folder(source_prefix, timestamp), _folder(target_prefix, timestamp)
        verified, _ = self._check(source_prefix, timestamp)
        manifest = self.read_manifest(source_prefix, timestamp) if verified.ok else None
        if manifest is None:
            return verified
        there = {item.key: item.size for item in self._store.list(target)}
        for file in manifest.files:
            tell(file.path)
            if there.get(target + file.path) != file.size:
                self._store.copy(source + file.path, target + file.path)
        tell(MANIFEST)
        self._store.copy(source + MANIFEST, target + MANIFEST)
        return self._check(target_prefix, timestamp, checksums=True, mend=True, tell=tell)[0]

    def empty(self, prefix: str) -> int:
        """Delete everything of one town below its live or retained prefix; returns how much.

        Raises ValueError for any other prefix: an empty or short one means nothing, never all.
        """
        if not _TOWN_PREFIX.fullmatch(prefix):
            raise ValueError(f"“{prefix}” is not the prefix of one town; nothing was deleted")
        # The pointer sorts before the snapshots: what is left half-way is never the latest.
        return self._store.delete(item.key for item in self._store.list(prefix))

    def get_lifecycle_rules(self) -> list[LifecycleRule]:
        """The rules of the bucket, foreign ones too."""
        return lifecycle_rules(self._store)

    def ensure_lifecycle(self, days: int) -> bool:
        """Have retained backups expire after `days`; returns whether the rule had to change."""
        return ensure_rule(self._store, days)

    def list_retained_towns(self) -> list[str]:
        """The ids of the towns that have something below `retained/`."""
        return [name for name in self._store.folders(RETAINED) if re.fullmatch(_UUID, name)]

    def expire_retained(
        self,
        before: datetime,
        *,
        dry_run: bool = False,
        enough: Callable[[], bool] = lambda: False,
    ) -> int:
        """Delete retained objects uploaded before a time, where no lifecycle rule does it; returns
        how many. Looks no further once `enough` says so; a dry run only counts."""
        old = [
            item.key
            for item in takewhile(lambda _: not enough(), self._store.list(RETAINED))
            if item.uploaded_at < before and _RETAINED_KEY.fullmatch(item.key)
        ]
        return len(old) if dry_run else self._store.delete(old)

    def _verified(self, prefix: str, timestamp: str, sizes: Mapping[str, int]) -> Verification:
        """Compare a snapshot's manifest with the sizes of what is in its folder."""
        try:
            manifest = self.read_manifest(prefix, timestamp)
        except Corrupt as error:
            return Verification(False, error.message, timestamp)
        if manifest is None:
            return Verification(False, "its manifest is missing", timestamp)
        problems = differences(manifest, sizes, "")
        return Verification(
            ok=not problems,
            problem=summary(problems),
            timestamp=timestamp,
            created_at=manifest.created_at,
            bytes=manifest.bytes,
            files=len(manifest.files),
        )

    def _check(
        self,
        prefix: str,
        timestamp: str,
        *,
        generation: int | None = None,
        checksums: bool = False,
        mend: bool = False,
        tell: Callable[[str], None] = lambda _path: None,
    ) -> tuple[Verification, bool]:
        """Verify a snapshot; the second value says whether the shrink guard holds it back."""
        folder = _folder(prefix, timestamp)
        try:
            manifest = self.read_manifest(prefix, timestamp)
        except Corrupt as error:
            return Verification(False, error.message, timestamp, generation=generation), False
        if manifest is None:
            problem = "its manifest is missing"
            return Verification(False, problem, timestamp, generation=generation), False
        there = {item.key: item.size for item in self._store.list(folder)}
        problems = differences(manifest, there, folder)
        if checksums and not problems:
            problems = self._wrong_checksums(manifest, folder, mend=mend, tell=tell)
        found = Verification(
            ok=not problems,
            problem=summary(problems),
            timestamp=timestamp,
            created_at=manifest.created_at,
            bytes=manifest.bytes,
            files=len(manifest.files),
            generation=generation,
        )
        return found, folder + HELD in there

    def _wrong_checksums(
        self, manifest: Manifest, folder: str, *, mend: bool, tell: Callable[[str], None]
    ) -> list[str]:
        problems = []
        for file in manifest.files:
            tell(file.path)
            if self._store.sha256(folder + file.path) != file.sha256:
                problems.append(f"{file.path} has another SHA-256")
                if mend:
                    self._store.delete([folder + file.path])
        return problems


def _pointer_key(prefix: str) -> str:
    return f"{prefix}latest.json"


def _folder(prefix: str, timestamp: str) -> str:
    if not is_stamp(timestamp):
        raise ValueError(f"“{timestamp}” is not the name of a snapshot")
    return f"{prefix}snapshots/{timestamp}/"
