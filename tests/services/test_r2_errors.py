import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from towns.services.errors import (
    Conflict,
    Misconfigured,
    NotFound,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)
from towns.services.r2 import R2Client, R2Config
from towns.services.r2_errors import error_of

from .bucket import CONFIG, LIVE, SECRET, Bucket

NOBODY = "http://127.0.0.1:1"


def answer(code: str, status: int, date: str = "") -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": SECRET},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "HTTPHeaders": {"date": date},
                "RequestId": "",
                "HostId": "",
                "RetryAttempts": 0,
            },
        },
        "GetObject",
    )


@pytest.mark.parametrize(
    ("code", "status", "expected", "names"),
    [
        ("NoSuchKey", 404, NotFound, ""),
        ("404", 404, NotFound, ""),
        ("NoSuchBucket", 404, Misconfigured, "GASTOWN_R2_BUCKET"),
        ("InvalidAccessKeyId", 403, Misconfigured, "GASTOWN_R2_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", 403, Misconfigured, "GASTOWN_R2_SECRET_ACCESS_KEY"),
        ("AccessDenied", 403, Misconfigured, "GASTOWN_R2_ACCESS_KEY_ID"),
        ("Unauthorized", 401, Misconfigured, "GASTOWN_R2_ACCESS_KEY_ID"),
        ("403", 403, Misconfigured, "GASTOWN_R2_ACCESS_KEY_ID"),
        ("PreconditionFailed", 412, Conflict, ""),
        ("ConditionalRequestConflict", 409, Conflict, ""),
        ("SlowDown", 503, RateLimited, ""),
        ("TooManyRequests", 429, RateLimited, ""),
        ("InternalError", 500, Unavailable, ""),
        ("ServiceUnavailable", 503, Unavailable, ""),
        ("307", 307, Unavailable, ""),
        ("InvalidArgument", 400, Rejected, ""),
    ],
)
def test_each_answer_is_its_error(
    code: str, status: int, expected: type[ServiceError], names: str
) -> None:
    error = error_of(answer(code, status), "read x", "towns")
    assert type(error) is expected
    assert names in str(error)
    assert SECRET not in str(error)


def test_a_wrong_clock_is_told() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    error = error_of(answer("RequestTimeTooSkewed", 403, date), "read x", "towns")
    assert isinstance(error, Misconfigured)
    assert "clock is off by 3" in str(error)


def test_a_missing_bucket_is_told(bucket: Bucket) -> None:
    r2 = R2Client(R2Config("https://s3.amazonaws.com", "nope", "key-id", SECRET))
    with pytest.raises(Misconfigured, match="GASTOWN_R2_BUCKET"):
        r2.read_pointer(LIVE)


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://s3.amazonaws.com"),
        ReadTimeoutError(endpoint_url="https://s3.amazonaws.com"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda r2: r2.read_pointer(LIVE),
        lambda r2: r2.list_snapshots(LIVE),
        lambda r2: r2.newest_verified(LIVE),
        lambda r2: r2.write_pointer(LIVE, "20260217T120000Z", 1),
        lambda r2: r2.empty(LIVE),
        lambda r2: r2.get_lifecycle_rules(),
        lambda r2: r2.ensure_lifecycle(30),
        lambda r2: r2.list_retained_towns(),
        lambda r2: r2.expire_retained(datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_lost_network_proves_nothing(
    call: Callable[[R2Client], object],
    error: BotoCoreError,
    r2: R2Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(type(r2._store.client()), "_make_api_call", fail)
    with pytest.raises(Unavailable):
        call(r2)


@pytest.mark.parametrize(
    ("field", "setting"),
    [
        (0, "GASTOWN_R2_ENDPOINT_URL"),
        (1, "GASTOWN_R2_BUCKET"),
        (2, "GASTOWN_R2_ACCESS_KEY_ID"),
        (3, "GASTOWN_R2_SECRET_ACCESS_KEY"),
    ],
)
def test_an_unset_setting_is_named(field: int, setting: str) -> None:
    values = [CONFIG.endpoint_url, CONFIG.bucket, CONFIG.access_key_id, CONFIG.secret_access_key]
    values[field] = ""
    r2 = R2Client(R2Config(*values))
    with pytest.raises(Misconfigured, match=setting):
        r2.read_pointer(LIVE)
    assert r2.ping() is False


def test_an_endpoint_that_is_no_address_is_named() -> None:
    with pytest.raises(Misconfigured, match="GASTOWN_R2_ENDPOINT_URL"):
        R2Client(R2Config("nonsense", "towns", "key-id", SECRET)).read_pointer(LIVE)


def test_ping_tells_whether_r2_answers(r2: R2Client) -> None:
    assert r2.ping() is True


def test_ping_counts_a_refusal_as_an_answer(bucket: Bucket) -> None:
    assert R2Client(R2Config("https://s3.amazonaws.com", "nope", "key-id", SECRET)).ping() is True


def test_ping_survives_a_lost_connection() -> None:
    assert R2Client(R2Config(NOBODY, "towns", "key-id", SECRET)).ping() is False


def test_no_secret_is_ever_told() -> None:
    r2 = R2Client(R2Config(NOBODY, "towns", "key-id", SECRET))
    with pytest.raises(Unavailable) as caught:
        r2.read_pointer(LIVE)
    texts = [*traceback.format_exception(caught.value), repr(caught.value), repr(CONFIG)]
    assert SECRET not in "".join(texts)
    assert "key-id" not in repr(CONFIG)
    assert "Signature" not in "".join(texts)
