from datetime import UTC, datetime, timedelta

import pytest

from towns.services.errors import Unavailable
from towns.services.r2 import LifecycleRule, R2Client, live_prefix, retained_prefix

from .bucket import FILES, LIVE, NEW, OTHER, RETAINED, TOWN, Bucket

TARGET = f"{RETAINED}snapshots/{NEW}/"
TOMORROW = datetime.now(UTC) + timedelta(days=1)


def copies(monkeypatch: pytest.MonkeyPatch, r2: R2Client) -> list[str]:
    """Lists the targets of copies from now on."""
    targets: list[str] = []
    copy = r2._store.copy

    def note(source: str, target: str) -> None:
        targets.append(target.removeprefix(TARGET))
        copy(source, target)

    monkeypatch.setattr(r2._store, "copy", note)
    return targets


def test_it_works(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW)
    copied = r2.copy_snapshot(LIVE, RETAINED, NEW)
    assert (copied.ok, copied.timestamp, copied.files) == (True, NEW, 3)
    assert bucket.keys(RETAINED) == sorted(f"{TARGET}{path}" for path in [*FILES, "manifest.json"])
    assert r2.newest_verified(RETAINED) is not None


def test_the_manifest_comes_last(
    r2: R2Client, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.snapshot(NEW)
    targets = copies(monkeypatch, r2)
    r2.copy_snapshot(LIVE, RETAINED, NEW)
    assert targets == [*FILES, "manifest.json"]


def test_it_goes_on_where_it_was_interrupted(
    r2: R2Client, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.snapshot(NEW)
    bucket.put(f"{TARGET}dolt/hq.backup", FILES["dolt/hq.backup"])
    bucket.put(f"{TARGET}config.tar", b"half")
    targets = copies(monkeypatch, r2)
    assert r2.copy_snapshot(LIVE, RETAINED, NEW).ok
    assert targets == ["git/rig.bundle", "config.tar", "manifest.json"]


def test_a_copy_with_another_content_is_made_anew_by_the_next_try(
    r2: R2Client, bucket: Bucket
) -> None:
    bucket.snapshot(NEW)
    bucket.put(f"{TARGET}config.tar", b"gifnoc")
    assert r2.copy_snapshot(LIVE, RETAINED, NEW).problem == "config.tar has another SHA-256"
    assert r2.copy_snapshot(LIVE, RETAINED, NEW).ok


def test_a_broken_snapshot_is_not_copied(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW)
    bucket.delete(f"{LIVE}snapshots/{NEW}/config.tar")
    assert r2.copy_snapshot(LIVE, RETAINED, NEW).problem == "config.tar is missing"
    assert bucket.keys(RETAINED) == []


def test_it_tells_each_file(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW)
    told: list[str] = []
    r2.copy_snapshot(LIVE, RETAINED, NEW, on_file=told.append)
    assert told == [*FILES, "manifest.json", *FILES]


def test_large_files_are_copied_in_parts(
    r2: R2Client, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    from towns.services import r2_store

    monkeypatch.setattr(r2_store._COPY, "multipart_threshold", 5 * 1024 * 1024)
    monkeypatch.setattr(r2_store._COPY, "multipart_chunksize", 5 * 1024 * 1024)
    monkeypatch.setitem(FILES, "large", b"x" * (11 * 1024 * 1024))
    bucket.snapshot(NEW)
    assert r2.copy_snapshot(LIVE, RETAINED, NEW).ok
    head = bucket.s3.head_object(Bucket="towns", Key=f"{TARGET}large")
    assert head["ETag"].endswith('-3"')


def test_it_empties_one_prefix(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW)
    bucket.snapshot(NEW, retained_prefix(TOWN))
    bucket.snapshot(NEW, live_prefix(OTHER))
    assert r2.empty(LIVE) == 4
    assert bucket.keys(LIVE) == []
    assert len(bucket.keys()) == 8
    assert r2.empty(LIVE) == 0


def test_it_empties_more_than_a_page(r2: R2Client, bucket: Bucket) -> None:
    for number in range(1001):
        bucket.put(f"{LIVE}{number}", b"")
    assert r2.empty(LIVE) == 1001
    assert bucket.keys(LIVE) == []


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "/",
        "gastown",
        "gastown/",
        "gastown//",
        "retained/",
        LIVE[:-1],
        LIVE[:-2],
        f"{LIVE}x/",
        f"other/{TOWN}/",
        f" {LIVE}",
        f"{LIVE}\n",
        "gastown/None/",
        LIVE.upper(),
    ],
)
def test_any_other_prefix_is_refused(prefix: str, r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW)
    with pytest.raises(ValueError, match="nothing was deleted"):
        r2.empty(prefix)
    assert len(bucket.keys()) == 4


def test_what_stays_is_told(r2: R2Client, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.snapshot(NEW)
    refused = {"Errors": [{"Key": "x", "Code": "InternalError"}]}
    monkeypatch.setattr(r2._store.client(), "delete_objects", lambda **_: refused)
    with pytest.raises(Unavailable, match="1 of 4"):
        r2.empty(LIVE)


def test_it_lists_retained_towns(r2: R2Client, bucket: Bucket) -> None:
    assert r2.list_retained_towns() == []
    bucket.snapshot(NEW, retained_prefix(OTHER))
    bucket.snapshot(NEW, RETAINED)
    bucket.put("retained/not-a-town/x", b"")
    bucket.snapshot(NEW, LIVE)
    assert r2.list_retained_towns() == [TOWN, OTHER]


def test_it_expires_what_is_old(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW, RETAINED)
    bucket.snapshot(NEW, LIVE)
    bucket.put("retained/foreign", b"")
    assert r2.expire_retained(TOMORROW - timedelta(days=2)) == 0
    assert r2.expire_retained(TOMORROW) == 4
    assert bucket.keys("retained/") == ["retained/foreign"]
    assert len(bucket.keys(LIVE)) == 4


def test_it_writes_the_lifecycle_rule_once(r2: R2Client) -> None:
    assert r2.get_lifecycle_rules() == []
    assert r2.ensure_lifecycle(30) is True
    assert r2.get_lifecycle_rules() == [
        LifecycleRule("gastown-retained", "retained/", 30, enabled=True)
    ]
    assert r2.ensure_lifecycle(30) is False


def test_foreign_rules_stay_as_they_are(r2: R2Client, bucket: Bucket) -> None:
    foreign = {
        "ID": "multipart",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    ours = {
        "ID": "gastown-retained",
        "Status": "Disabled",
        "Filter": {"Prefix": "gastown/"},
        "Expiration": {"Days": 3},
    }
    rules = {"Rules": [foreign, ours]}
    bucket.s3.put_bucket_lifecycle_configuration(Bucket="towns", LifecycleConfiguration=rules)  # type: ignore[arg-type]  # a plain dict
    assert r2.ensure_lifecycle(30) is True
    assert r2.get_lifecycle_rules() == [
        LifecycleRule("multipart", "", None, enabled=True),
        LifecycleRule("gastown-retained", "retained/", 30, enabled=True),
    ]
    answer = bucket.s3.get_bucket_lifecycle_configuration(Bucket="towns")
    assert answer["Rules"][0] == foreign


@pytest.mark.parametrize("days", [0, -1])
def test_retained_backups_are_never_expired_at_once(days: int, r2: R2Client) -> None:
    with pytest.raises(ValueError, match="at least a day"):
        r2.ensure_lifecycle(days)
