"""The two JSON documents of a backup: latest.json and a snapshot's manifest (sandbox.md)."""

import json
import re
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from . import values
from .errors import Corrupt
from .r2_types import Manifest, ManifestFile, Pointer

_STAMP = re.compile(r"\d{8}T\d{6}Z")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_stamp(timestamp: object) -> bool:
    """Whether it is the name of a snapshot, such as 20260217T120000Z."""
    return isinstance(timestamp, str) and _STAMP.fullmatch(timestamp) is not None


def stamp_time(timestamp: str) -> datetime | None:
    """When the snapshot of this name was begun; None for a date that there isn't."""
    try:
        return datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def parse_pointer(body: bytes, key: str, etag: str) -> Pointer:
    """Read a latest.json; a missing generation means 0. Raises Corrupt."""
    fields = _object(body, key)
    timestamp, generation = fields.get("timestamp"), values.count(fields.get("generation", 0))
    if not isinstance(timestamp, str) or not is_stamp(timestamp) or generation is None:
        raise Corrupt(f"{key} in R2 names no snapshot or no generation.")
    return Pointer(timestamp=timestamp, generation=generation, etag=etag)


def pointer_body(timestamp: str, generation: int) -> bytes:
    """A latest.json as it is stored."""
    return json.dumps({"timestamp": timestamp, "generation": generation}).encode()


def parse_manifest(body: bytes, key: str, timestamp: str) -> Manifest:
    """Read the manifest of snapshot `timestamp`. Raises Corrupt."""
    fields = _object(body, key)
    files = values.items(fields.get("files"))
    if fields.get("timestamp") != timestamp:
        raise Corrupt(f"{key} in R2 is the manifest of another snapshot.")
    if not files:
        raise Corrupt(f"{key} in R2 lists no files.")
    return Manifest(
        timestamp=timestamp,
        created_at=values.moment(fields.get("created_at")) or stamp_time(timestamp),
        gt_version=values.text(fields.get("gt_version")),
        files=tuple(_file(entry, key) for entry in files),
    )


def _file(entry: object, key: str) -> ManifestFile:
    fields = values.mapping(entry)
    path, size, sha256 = fields.get("path"), values.count(fields.get("size")), fields.get("sha256")
    if not _is_inside(path) or size is None or not isinstance(sha256, str):
        raise Corrupt(f"{key} in R2 has a malformed entry.")
    if not _SHA256.fullmatch(sha256.lower()):
        raise Corrupt(f"{key} in R2 has an entry without a SHA-256.")
    return ManifestFile(path=str(path), size=size, sha256=sha256.lower())


def _is_inside(path: object) -> bool:
    """Whether a path stays in its snapshot's folder."""
    if not isinstance(path, str) or not path or path.startswith("/") or "\0" in path:
        return False
    return ".." not in PurePosixPath(path).parts


def _object(body: bytes, key: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"{key} in R2 is not JSON.") from error
    if not isinstance(document, dict):
        raise Corrupt(f"{key} in R2 is not a JSON object.")
    return document
