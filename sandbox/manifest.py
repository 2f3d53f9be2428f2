"""The two JSON documents of a backup: a snapshot's manifest, and the pointer latest.json."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from . import clock
from .errors import Corrupt
from .snapshot import FileEntry


@dataclass(frozen=True, slots=True)
class Pointer:
    """latest.json: the snapshot that counts, and the generation of the machine that made it."""

    timestamp: str
    generation: int

    def to_json(self) -> bytes:
        """The document as it is stored."""
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot holds. Times are as in the document (ISO 8601, UTC)."""

    timestamp: str
    created_at: str
    gt_version: str | None
    files: tuple[FileEntry, ...]

    @property
    def total_bytes(self) -> int:
        """The size of all files together."""
        return sum(entry.size for entry in self.files)

    def to_json(self) -> bytes:
        """The document as it is stored."""
        return json.dumps(asdict(self), indent=1).encode()


def parse_pointer(document: bytes) -> Pointer:
    """Read latest.json; a missing generation means 0. Raises Corrupt."""
    values = _object(document, "latest.json")
    timestamp, generation = values.get("timestamp"), values.get("generation", 0)
    if clock.parse_stamp(timestamp) is None or not _is_count(generation):
        raise Corrupt("latest.json names no snapshot or no generation")
    return Pointer(str(timestamp), int(str(generation)))


def parse_manifest(document: bytes, timestamp: str) -> Manifest:
    """Read the manifest of the snapshot `timestamp`. Raises Corrupt."""
    values = _object(document, f"the manifest of {timestamp}")
    files = values.get("files")
    if values.get("timestamp") != timestamp or not isinstance(files, list):
        raise Corrupt(f"the manifest of {timestamp} is of another snapshot or lists no files")
    version = values.get("gt_version")
    return Manifest(
        timestamp=timestamp,
        created_at=str(values.get("created_at", "")),
        gt_version=version if isinstance(version, str) else None,
        files=tuple(_entry(value, timestamp) for value in files),
    )


def _entry(value: object, timestamp: str) -> FileEntry:
    if isinstance(value, dict):
        path, size, sha256 = value.get("path"), value.get("size"), value.get("sha256")
        if _is_safe(path) and _is_count(size) and isinstance(sha256, str):
            return FileEntry(str(path), int(str(size)), sha256.lower())
    raise Corrupt(f"the manifest of {timestamp} has a malformed entry")


def _is_safe(path: object) -> bool:
    if not isinstance(path, str) or not path or path.startswith("/") or "\0" in path:
        return False
    return ".." not in PurePosixPath(path).parts


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _object(document: bytes, name: str) -> Mapping[str, object]:
    try:
        values = json.loads(document)
    except ValueError as error:
        raise Corrupt(f"{name} is no JSON") from error
    if not isinstance(values, dict):
        raise Corrupt(f"{name} is no JSON object")
    return values
