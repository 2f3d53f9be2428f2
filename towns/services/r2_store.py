"""Objects in the bucket: read, write, list, copy, delete. Knows no towns and no snapshots."""

import hashlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .errors import Conflict, Misconfigured, NotFound, Unavailable
from .r2_errors import talking, unset
from .r2_types import R2Config
from .results import OnResult, ignore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MIB = 1024 * 1024
DELETE_AT_ONCE = 1000
DOCUMENT_LIMIT = 64 * _MIB
"""The largest JSON document that is read into memory."""
_COPY = TransferConfig(
    multipart_threshold=64 * _MIB, multipart_chunksize=64 * _MIB, max_concurrency=4
)
_CLIENT = Config(
    region_name="auto",
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    connect_timeout=5,
    read_timeout=30,
    retries={"total_max_attempts": 2, "mode": "standard"},
    max_pool_connections=32,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    proxies={},
)


class _Unchanged(TypedDict, total=False):
    IfMatch: str
    IfNoneMatch: str


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as a list shows it."""

    key: str
    size: int
    uploaded_at: datetime


class Store:
    """Thread-safe. Every method raises the errors of `errors.py`."""

    def __init__(self, config: R2Config, on_result: OnResult = ignore) -> None:
        self._on_result = on_result
        self.bucket = config.bucket
        self._config = config
        self._client: S3Client | None = None
        self._lock = threading.Lock()

    def client(self) -> "S3Client":
        """The S3 client. Raises Misconfigured when a setting is empty or no address."""
        with self._lock:
            if self._client is None:
                self._client = _connect(self._config)
                events = self._client.meta.events
                events.register("after-call.s3", self._answered)
                events.register("after-call-error.s3", self._lost)
            return self._client

    def _answered(self, http_response: Any, model: Any, **_: Any) -> None:
        """boto3 says of each answer, after its own retries, what it was."""
        code = http_response.status_code
        self._on_result(model.name, "ok" if code < 400 else str(code))

    def _lost(self, exception: Exception, model: Any = None, **_: Any) -> None:
        name = getattr(model, "name", "call")
        self._on_result(name, type(exception).__name__)

    def answers(self) -> bool:
        """Whether R2 answers at all, with anything below 500. Never raises."""
        try:
            self.client().head_bucket(Bucket=self.bucket)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            return 0 < status < 500
        except (BotoCoreError, Misconfigured):
            return False
        return True

    def read(self, key: str) -> tuple[bytes, str] | None:
        """An object's bytes and its ETag; None when there is none."""
        try:
            with talking(f"read {key}", self.bucket):
                answer = self.client().get_object(Bucket=self.bucket, Key=key)
                if answer["ContentLength"] > DOCUMENT_LIMIT:
                    raise Unavailable(f"{key} in R2 is too large to be what it should be.")
                return answer["Body"].read(), answer["ETag"]
        except NotFound:
            return None

    def sha256(self, key: str) -> str | None:
        """The checksum of an object's bytes, all of which are read; None when there is none."""
        digest = hashlib.sha256()
        try:
            with talking(f"read {key}", self.bucket):
                body = self.client().get_object(Bucket=self.bucket, Key=key)["Body"]
                for chunk in body.iter_chunks(_MIB):
                    digest.update(chunk)
        except NotFound:
            return None
        return digest.hexdigest()

    def swap(self, key: str, body: bytes, etag: str | None) -> None:
        """Write if the object still has this ETag, or is still absent. Raises Conflict."""
        unchanged: _Unchanged = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            with talking(f"write {key}", self.bucket):
                self.client().put_object(
                    Bucket=self.bucket,
                    Key=key,
                    Body=body,
                    ContentType="application/json",
                    **unchanged,
                )
        except NotFound as error:
            raise Conflict(f"{key} in R2 was deleted while we were about to write it.") from error

    def list(self, prefix: str) -> Iterator[Stored]:
        """All objects below a prefix, in the order of their keys."""
        with talking(f"list {prefix}", self.bucket):
            pages = self.client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    yield Stored(item["Key"], item["Size"], item["LastModified"])

    def folders(self, prefix: str) -> Iterator[str]:
        """The names of the folders right below a prefix, in order."""
        with talking(f"list {prefix}", self.bucket):
            pages = self.client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/"):
                for item in page.get("CommonPrefixes", []):
                    yield item["Prefix"][len(prefix) :].rstrip("/")

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the bucket, in parts if it is large. Raises NotFound."""
        with talking(f"copy {source} to {target}", self.bucket):
            self.client().copy(
                {"Bucket": self.bucket, "Key": source}, self.bucket, target, Config=_COPY
            )

    def delete(self, keys: Iterable[str]) -> int:
        """Delete objects, 1,000 a call; returns how many. Raises Unavailable if one stays."""
        waiting = list(keys)
        for at in range(0, len(waiting), DELETE_AT_ONCE):
            batch = waiting[at : at + DELETE_AT_ONCE]
            with talking(f"delete {len(batch)} objects", self.bucket):
                answer = self.client().delete_objects(
                    Bucket=self.bucket,
                    Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
                )
            if errors := answer.get("Errors", []):
                raise Unavailable(
                    f"R2 did not delete {len(errors)} of {len(batch)} objects, "
                    f"{errors[0].get('Key')} first ({errors[0].get('Code')})."
                )
        return len(waiting)


def _connect(config: R2Config) -> "S3Client":
    needed = {
        "GASTOWN_R2_ENDPOINT_URL": (
            config.endpoint_url,
            "https://{account}.r2.cloudflarestorage.com",
        ),
        "GASTOWN_R2_BUCKET": (config.bucket, "the name of the bucket with the backups"),
        "GASTOWN_R2_ACCESS_KEY_ID": (config.access_key_id, "the id of an R2 API token"),
        "GASTOWN_R2_SECRET_ACCESS_KEY": (config.secret_access_key, "the secret of that token"),
    }
    for setting, (value, meaning) in needed.items():
        if not value:
            raise unset(setting, meaning)
    try:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=config.endpoint_url,
            aws_access_key_id=config.access_key_id,
            aws_secret_access_key=config.secret_access_key,
            config=_CLIENT,
        )
    except ValueError as error:
        raise Misconfigured(
            "GASTOWN_R2_ENDPOINT_URL is not an address. "
            "Set it to https://{account}.r2.cloudflarestorage.com."
        ) from error
