"""The town's prefix in R2: the only code that talks to it. Facts about R2: r2.md.

Layout: latest.json, snapshots/{timestamp}/manifest.json and the files; held.json next to a
manifest marks a snapshot that the shrink guard kept back.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from . import clock
from .errors import Corrupt, Missing, Unavailable
from .manifest import Manifest, Pointer, parse_manifest, parse_pointer
from .settings import R2Settings
from .snapshot import FileEntry

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MANIFEST = "manifest.json"
HELD = "held.json"
_MIB = 1024 * 1024
_TRANSFER = TransferConfig(
    multipart_threshold=64 * _MIB, multipart_chunksize=64 * _MIB, max_concurrency=2
)


@dataclass(frozen=True, slots=True)
class StoredPointer:
    """latest.json as it was read; `etag` is what a conditional write must match."""

    pointer: Pointer
    etag: str


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """One folder under snapshots/. Without a manifest it is the rest of an interrupted upload."""

    timestamp: str
    keys: tuple[str, ...]
    complete: bool
    held: bool


def connect(settings: R2Settings) -> "Store":
    """The store of one town: signature v4, bounded time-outs and retries, no extra checksums."""
    config = Config(
        region_name="auto",
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        connect_timeout=5,
        read_timeout=30,
        retries={"total_max_attempts": 3, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=settings.endpoint,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        config=config,
    )
    return Store(client, settings.bucket, settings.prefix)


class Store:
    """Every method raises Unavailable if R2 does not answer as it should."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix.strip("/")

    def pointer(self) -> StoredPointer | None:
        """latest.json, or None if there is none. Raises Corrupt if it can't be understood."""
        try:
            body, etag = self._read(f"{self._prefix}/latest.json")
        except Missing:
            return None
        return StoredPointer(parse_pointer(body), etag)

    def swap_pointer(self, pointer: Pointer, seen: StoredPointer | None) -> bool:
        """Write latest.json if it still is what was `seen`. False: somebody was faster."""
        key = f"{self._prefix}/latest.json"
        body = pointer.to_json()
        try:
            with _talking("swap latest.json"):
                if seen is None:
                    self._client.put_object(
                        Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*"
                    )
                else:
                    self._client.put_object(
                        Bucket=self._bucket, Key=key, Body=body, IfMatch=seen.etag
                    )
        except (_Conflict, Missing):
            return False
        return True

    def manifest(self, timestamp: str) -> Manifest:
        """The manifest of a snapshot. Raises Missing or Corrupt."""
        body, _ = self._read(self._key(timestamp, MANIFEST))
        return parse_manifest(body, timestamp)

    def put_manifest(self, manifest: Manifest) -> None:
        """Write the manifest: from now on the snapshot is complete."""
        self._write(self._key(manifest.timestamp, MANIFEST), manifest.to_json())

    def put_held(self, timestamp: str, document: Mapping[str, object]) -> None:
        """Mark a snapshot as kept back by the shrink guard."""
        self._write(self._key(timestamp, HELD), json.dumps(document, indent=1).encode())

    def release(self, timestamp: str) -> None:
        """Take the mark of the shrink guard off a snapshot that staff accepted."""
        key = self._key(timestamp, HELD)
        with _talking(f"delete {key}"):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def upload(
        self, timestamp: str, path: str, file: Path, progress: Callable[[int], None]
    ) -> None:
        """Upload one file of a snapshot; `progress` is told the bytes sent and may raise."""
        with _talking(f"upload {path}"):
            self._client.upload_file(
                str(file), self._bucket, self._key(timestamp, path), None, progress, _TRANSFER
            )

    def download(self, timestamp: str, entry: FileEntry, target: Path) -> None:
        """Download one file and check it against its entry. Raises Missing or Corrupt."""
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        size = 0
        with _talking(f"download {entry.path}"), target.open("wb") as file:
            key = self._key(timestamp, entry.path)
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
            for chunk in body.iter_chunks(_MIB):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
        if (size, digest.hexdigest()) != (entry.size, entry.sha256):
            raise Corrupt(f"{entry.path} of {timestamp} is not the file that its manifest lists")

    def snapshots(self) -> list[StoredSnapshot]:
        """All snapshots and rests of uploads, oldest first."""
        prefix = f"{self._prefix}/snapshots/"
        found: dict[str, list[str]] = {}
        with _talking("list the snapshots"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    timestamp = item["Key"][len(prefix) :].split("/")[0]
                    if clock.parse_stamp(timestamp):
                        found.setdefault(timestamp, []).append(item["Key"])
        return [self._stored(timestamp, keys) for timestamp, keys in sorted(found.items())]

    def _stored(self, timestamp: str, keys: list[str]) -> StoredSnapshot:
        return StoredSnapshot(
            timestamp=timestamp,
            keys=tuple(keys),
            complete=self._key(timestamp, MANIFEST) in keys,
            held=self._key(timestamp, HELD) in keys,
        )

    def delete(self, snapshot: StoredSnapshot) -> None:
        """Delete a snapshot, its manifest first: if interrupted, the rest is no snapshot."""
        first = self._key(snapshot.timestamp, MANIFEST)
        keys = sorted(snapshot.keys, key=lambda key: key != first)
        with _talking(f"delete snapshot {snapshot.timestamp}"):
            for key in keys:
                self._client.delete_object(Bucket=self._bucket, Key=key)

    def abort_uploads(self) -> int:
        """Abort the multipart uploads that a killed agent left; returns how many."""
        prefix = f"{self._prefix}/snapshots/"
        with _talking("list unfinished uploads"):
            answer = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=prefix)
            uploads = answer.get("Uploads", [])
            for upload in uploads:
                self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
        return len(uploads)

    def _key(self, timestamp: str, path: str) -> str:
        return f"{self._prefix}/snapshots/{timestamp}/{path}"

    def _read(self, key: str) -> tuple[bytes, str]:
        with _talking(f"read {key}"):
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            return answer["Body"].read(), answer["ETag"]

    def _write(self, key: str, body: bytes) -> None:
        with _talking(f"write {key}"):
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=body, ContentType="application/json"
            )


class _Conflict(Exception):
    """A conditional write found another object than expected."""


@contextmanager
def _talking(doing: str) -> Iterator[None]:
    """Translate the library's errors; the texts carry codes and no request details."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "an error"))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in ("NoSuchKey", "404"):
            raise Missing(f"R2 has no such object (to {doing})") from error
        if status in (409, 412):
            raise _Conflict from error
        raise Unavailable(f"R2 answered {code} ({status}) to: {doing}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise Unavailable(f"R2 can't be reached to {doing}: {type(error).__name__}") from error
