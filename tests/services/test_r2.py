import hashlib
from datetime import UTC, datetime

import pytest

from towns.services.errors import Conflict, Corrupt
from towns.services.r2 import Pointer, R2Client, Verification

from .bucket import FILES, LIVE, MID, NEW, OLD, Bucket

SIZE = sum(map(len, FILES.values()))


def test_it_works(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW)
    bucket.point(NEW, generation=3)
    assert r2.verify_latest(LIVE) == Verification(
        ok=True,
        problem="",
        timestamp=NEW,
        created_at=datetime(2026, 2, 17, 12, 0, 30, tzinfo=UTC),
        bytes=SIZE,
        files=3,
        generation=3,
    )


def test_it_reads_the_pointer(r2: R2Client, bucket: Bucket) -> None:
    assert r2.read_pointer(LIVE) is None
    bucket.point(NEW, generation=2)
    pointer = r2.read_pointer(LIVE)
    assert pointer is not None
    assert (pointer.timestamp, pointer.generation) == (NEW, 2)
    assert pointer.etag


def test_a_missing_generation_is_0(r2: R2Client, bucket: Bucket) -> None:
    bucket.put(f"{LIVE}latest.json", b'{"timestamp": "20260217T120000Z"}')
    pointer = r2.read_pointer(LIVE)
    assert pointer is not None
    assert pointer.generation == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"timestamp": "../.."}',
        b'{"timestamp": "20260217T120000Z", "generation": -1}',
    ],
)
def test_a_pointer_that_makes_no_sense_is_corrupt(
    body: bytes, r2: R2Client, bucket: Bucket
) -> None:
    bucket.put(f"{LIVE}latest.json", body)
    with pytest.raises(Corrupt, match=r"latest\.json"):
        r2.read_pointer(LIVE)
    found = r2.verify_latest(LIVE)
    assert found is not None
    assert not found.ok
    assert "latest.json" in found.problem


def test_no_pointer_is_none(r2: R2Client) -> None:
    assert r2.verify_latest(LIVE) is None


def test_it_lists_snapshots_newest_first(r2: R2Client, bucket: Bucket) -> None:
    for timestamp in (MID, NEW, OLD, "no-stamp"):
        bucket.put(f"{LIVE}snapshots/{timestamp}/config.tar", b"x")
    assert r2.list_snapshots(LIVE) == [NEW, MID, OLD]


def test_it_reads_a_manifest(r2: R2Client, bucket: Bucket) -> None:
    assert r2.read_manifest(LIVE, NEW) is None
    bucket.snapshot(NEW)
    manifest = r2.read_manifest(LIVE, NEW)
    assert manifest is not None
    assert manifest.gt_version == "1.0.1"
    assert [file.path for file in manifest.files] == list(FILES)
    assert manifest.bytes == SIZE


def entry(**fields: object) -> dict[str, object]:
    return {"files": [{"path": "a", "size": 1, "sha256": "0" * 64, **fields}]}


@pytest.mark.parametrize(
    "fields",
    [
        {"files": []},
        {"files": "all"},
        {"timestamp": OLD, **entry()},
        entry(path="../a"),
        entry(path="/a"),
        entry(path=""),
        entry(size=-1),
        entry(size="1"),
        entry(sha256="short"),
        entry(sha256=None),
    ],
)
def test_a_malformed_manifest_is_a_problem(
    fields: dict[str, object], r2: R2Client, bucket: Bucket
) -> None:
    bucket.manifest(NEW, fields)
    with pytest.raises(Corrupt, match=r"manifest\.json"):
        r2.read_manifest(LIVE, NEW)
    assert not r2.verify(LIVE, NEW).ok


def test_a_missing_manifest_is_a_problem(r2: R2Client) -> None:
    assert r2.verify(LIVE, NEW).problem == "its manifest is missing"


def test_a_missing_file_is_a_problem(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW)
    bucket.delete(f"{LIVE}snapshots/{NEW}/dolt/hq.backup")
    bucket.delete(f"{LIVE}snapshots/{NEW}/config.tar")
    assert r2.verify(LIVE, NEW).problem == "dolt/hq.backup is missing, and 1 more files"


def test_another_size_is_a_problem(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW)
    bucket.put(f"{LIVE}snapshots/{NEW}/git/rig.bundle", b"gitgit")
    assert r2.verify(LIVE, NEW).problem == "git/rig.bundle has 6 bytes instead of 3"


def test_another_content_is_found_by_checksums(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW)
    bucket.put(f"{LIVE}snapshots/{NEW}/git/rig.bundle", b"GIT")
    assert r2.verify(LIVE, NEW).ok
    assert r2.verify(LIVE, NEW, checksums=True).problem == "git/rig.bundle has another SHA-256"


def test_whole_snapshots_have_their_checksums(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW)
    assert r2.verify(LIVE, NEW, checksums=True).ok


def test_the_newest_verified_is_the_latest(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(OLD)
    bucket.snapshot(NEW)
    bucket.point(NEW)
    found = r2.newest_verified(LIVE)
    assert found is not None
    assert (found.timestamp, found.generation) == (NEW, 1)


def test_a_broken_latest_falls_back_to_an_older_one(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(OLD)
    bucket.snapshot(NEW)
    bucket.point(NEW)
    bucket.delete(f"{LIVE}snapshots/{NEW}/config.tar")
    found = r2.newest_verified(LIVE)
    assert found is not None
    assert found.timestamp == OLD


def test_a_snapshot_that_never_was_latest_is_not_taken(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(OLD)
    bucket.snapshot(NEW)
    bucket.point(MID)
    found = r2.newest_verified(LIVE)
    assert found is not None
    assert found.timestamp == OLD


def test_a_snapshot_that_is_held_back_is_not_taken(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(OLD)
    bucket.snapshot(MID)
    bucket.put(f"{LIVE}snapshots/{MID}/held.json", b"{}")
    bucket.point(NEW)
    found = r2.newest_verified(LIVE)
    assert found is not None
    assert found.timestamp == OLD


def test_without_a_pointer_the_newest_whole_one_is_taken(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(OLD)
    bucket.put(f"{LIVE}snapshots/{NEW}/config.tar", b"x")
    found = r2.newest_verified(LIVE)
    assert found is not None
    assert found.timestamp == OLD


def test_nothing_verified_is_none(r2: R2Client, bucket: Bucket) -> None:
    assert r2.newest_verified(LIVE) is None
    bucket.point(NEW)
    assert r2.newest_verified(LIVE) is None


def test_it_writes_the_first_pointer_and_the_next(r2: R2Client) -> None:
    r2.write_pointer(LIVE, OLD, 1)
    r2.write_pointer(LIVE, NEW, 2)
    pointer = r2.read_pointer(LIVE)
    assert pointer is not None
    assert pointer == Pointer(NEW, 2, pointer.etag)


def test_a_pointer_of_a_higher_generation_stays(r2: R2Client, bucket: Bucket) -> None:
    bucket.point(OLD, generation=5)
    with pytest.raises(Conflict, match="generation 5"):
        r2.write_pointer(LIVE, NEW, 4)
    pointer = r2.read_pointer(LIVE)
    assert pointer is not None
    assert pointer.timestamp == OLD


def test_it_never_moves_back(r2: R2Client, bucket: Bucket) -> None:
    bucket.point(NEW, generation=1)
    with pytest.raises(Conflict, match=NEW):
        r2.write_pointer(LIVE, OLD, 2)
    pointer = r2.read_pointer(LIVE)
    assert pointer is not None
    assert pointer.timestamp == NEW


def test_a_corrupt_pointer_can_be_replaced(r2: R2Client, bucket: Bucket) -> None:
    bucket.put(f"{LIVE}latest.json", b"{")
    r2.write_pointer(LIVE, NEW, 1)
    assert r2.read_pointer(LIVE) is not None


def test_a_pointer_that_changed_in_between_stays(r2: R2Client, bucket: Bucket) -> None:
    bucket.point(OLD)
    pointer = r2.read_pointer(LIVE)
    assert pointer is not None
    bucket.point(MID)
    with pytest.raises(Conflict):
        r2._store.swap(f"{LIVE}latest.json", b"{}", pointer.etag)
    with pytest.raises(Conflict):
        r2._store.swap(f"{LIVE}latest.json", b"{}", None)


@pytest.mark.parametrize("timestamp", ["", "..", "20260217T120000Z/..", "latest"])
def test_it_refuses_what_names_no_snapshot(timestamp: str, r2: R2Client) -> None:
    with pytest.raises(ValueError, match="snapshot"):
        r2.verify(LIVE, timestamp)
    with pytest.raises(ValueError, match="snapshot"):
        r2.write_pointer(LIVE, timestamp, 1)


def test_the_checksum_is_sha256(r2: R2Client, bucket: Bucket) -> None:
    bucket.put("x", b"abc")
    assert r2._store.sha256("x") == hashlib.sha256(b"abc").hexdigest()
    assert r2._store.sha256("y") is None
