"""From boto3's errors to our typed errors. The texts carry codes, never request details."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from .errors import (
    Conflict,
    Misconfigured,
    NotFound,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)

KEYS_REFUSED = frozenset(
    {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Unauthorized"}
)
SLOW_DOWN = frozenset({"SlowDown", "TooManyRequests", "RequestLimitExceeded"})


@contextmanager
def talking(doing: str, bucket: str) -> Iterator[None]:
    """Turn what boto3 raises inside into our errors. `doing` is for people: "read x/y"."""
    try:
        yield
    except ClientError as error:
        raise error_of(error, doing, bucket) from error
    except ParamValidationError as error:
        raise Rejected(f"R2 was not asked to {doing}: the request makes no sense.") from error
    except (BotoCoreError, Boto3Error) as error:
        raise Unavailable(f"R2 can't be reached to {doing} ({type(error).__name__}).") from error


def error_of(error: ClientError, doing: str, bucket: str) -> ServiceError:
    """The error for an answer of R2's. NotFound stands for a missing object."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    answer = error.response.get("ResponseMetadata", {})
    status = answer.get("HTTPStatusCode", 0)
    said = f"R2 answered {status} {code} to: {doing}."
    if code == "RequestTimeTooSkewed":
        return Misconfigured(f"{said} This machine's clock is off{_by(answer)}: set it right.")
    if code == "NoSuchBucket":
        return Misconfigured(
            f"R2 has no bucket “{bucket}”. Set GASTOWN_R2_BUCKET to the bucket's name, and check "
            "GASTOWN_R2_ENDPOINT_URL."
        )
    if code in KEYS_REFUSED or status in (401, 403):
        return Misconfigured(
            f"{said} Set GASTOWN_R2_ACCESS_KEY_ID and GASTOWN_R2_SECRET_ACCESS_KEY to a token "
            f"that may read and write the bucket “{bucket}”."
        )
    if code in ("NoSuchKey", "404") or status == 404:
        return NotFound(said)
    if status in (409, 412):
        return Conflict(said)
    if code in SLOW_DOWN or status == 429:
        return RateLimited(said)
    if status >= 500 or status < 400 or status == 408:
        return Unavailable(said)
    return Rejected(said)


def unset(setting: str, meaning: str) -> Misconfigured:
    """A setting that is needed to ask R2 at all is empty."""
    return Misconfigured(f"{setting} is not set. Set it to {meaning}.")


def _by(answer: Any) -> str:
    try:
        theirs = parsedate_to_datetime(answer.get("HTTPHeaders", {}).get("date", ""))
    except ValueError:
        return ""
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    return f" by {abs((datetime.now(UTC) - theirs).total_seconds()):.0f} s"
