"""A faked bucket with one town's snapshots in it."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import boto3
from moto import mock_aws

from towns.services.r2 import R2Client, R2Config, live_prefix, retained_prefix

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TOWN = "0b8f9a52-3c1d-4e5f-8a6b-7c8d9e0f1a2b"
OTHER = "1c9f9a52-3c1d-4e5f-8a6b-7c8d9e0f1a2b"
LIVE = live_prefix(TOWN)
RETAINED = retained_prefix(TOWN)
OLD, MID, NEW = "20260217T120000Z", "20260217T120500Z", "20260217T121000Z"
FILES = {"dolt/hq.backup": b"dolt" * 100, "git/rig.bundle": b"git", "config.tar": b"config"}
SECRET = "r2-very-secret"
CONFIG = R2Config("https://s3.amazonaws.com", "towns", "key-id", SECRET)


class Bucket:
    """Writes what a sandbox would have written."""

    def __init__(self, s3: "S3Client") -> None:
        self.s3 = s3

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket="towns", Key=key, Body=body)

    def delete(self, key: str) -> None:
        self.s3.delete_object(Bucket="towns", Key=key)

    def keys(self, prefix: str = "") -> list[str]:
        answer = self.s3.list_objects_v2(Bucket="towns", Prefix=prefix)
        return [item["Key"] for item in answer.get("Contents", [])]

    def snapshot(self, timestamp: str, prefix: str = LIVE) -> None:
        entries = []
        for path, body in FILES.items():
            self.put(f"{prefix}snapshots/{timestamp}/{path}", body)
            digest = hashlib.sha256(body).hexdigest()
            entries.append({"path": path, "size": len(body), "sha256": digest})
        self.manifest(timestamp, {"files": entries}, prefix)

    def manifest(self, timestamp: str, fields: dict[str, object], prefix: str = LIVE) -> None:
        document = {
            "timestamp": timestamp,
            "created_at": "2026-02-17T12:00:30Z",
            "gt_version": "1.0.1",
            **fields,
        }
        key = f"{prefix}snapshots/{timestamp}/manifest.json"
        self.put(key, json.dumps(document).encode())

    def point(self, timestamp: str, generation: int = 1, prefix: str = LIVE) -> None:
        document = {"timestamp": timestamp, "generation": generation}
        self.put(f"{prefix}latest.json", json.dumps(document).encode())


@cache
def _clients() -> tuple[R2Client, "S3Client"]:
    """Made once: making an S3 client takes longer than most tests."""
    s3 = boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    return R2Client(CONFIG), s3


@contextmanager
def faked_bucket() -> Iterator[tuple[R2Client, Bucket]]:
    """A client and the faked bucket that it uses, empty."""
    with mock_aws():
        r2, s3 = _clients()
        s3.create_bucket(Bucket="towns")
        yield r2, Bucket(s3)
