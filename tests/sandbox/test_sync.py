"""One sync: what it stores, who may move the pointer, what it holds back and cleans up."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.errors import BackupError, Refused, Stopped
from sandbox.manifest import Pointer
from sandbox.store import Store, StoredPointer
from sandbox.sync import Synced, Syncer

from .world import Bucket

NOON = datetime(2026, 2, 17, 12, 0, tzinfo=UTC)


class World:
    """A syncer whose clock the test sets."""

    def __init__(self, bucket: Bucket, town: Path, scratch: Path) -> None:
        self.bucket = bucket
        self.town = town
        self.scratch = scratch
        self.now = NOON

    def sync(
        self,
        generation: int = 1,
        stopping: Callable[[], bool] = lambda: False,
        store: Store | None = None,
    ) -> Synced:
        store = store or self.bucket.store()
        syncer = Syncer(store, self.town, self.scratch, generation, lambda: self.now)
        synced = syncer.sync(stopping, "1.0.1")
        self.now += timedelta(minutes=5)
        return synced

    def shrink(self) -> None:
        (self.town / "config" / "note.txt").write_text("x")

    def grow(self) -> None:
        (self.town / "config" / "note.txt").write_text("x" * 2_000_000)


@pytest.fixture
def world(bucket: Bucket, town: Path, tmp_path: Path) -> World:
    return World(bucket, town, tmp_path / "scratch")


def test_it_works(world: World) -> None:
    synced = world.sync()

    assert synced.snapshot == "20260217T120000Z"
    assert (synced.generation, synced.files, synced.held) == (1, 5, None)
    assert world.bucket.json("latest.json") == {"timestamp": "20260217T120000Z", "generation": 1}
    folder = "snapshots/20260217T120000Z"
    assert world.bucket.all_keys() == [
        "latest.json",
        f"{folder}/config.tar",
        f"{folder}/dolt/hq.backup",
        f"{folder}/dolt/web.backup",
        f"{folder}/git/web.bundle",
        f"{folder}/manifest.json",
        f"{folder}/runtime.tar",
    ]
    manifest = world.bucket.json(f"{folder}/manifest.json")
    assert manifest["timestamp"] == "20260217T120000Z"
    assert manifest["created_at"] == "2026-02-17T12:00:00Z"
    assert manifest["gt_version"] == "1.0.1"
    assert not world.scratch.exists(), "the scratch space was not given back"


def test_the_manifest_lists_sizes_and_hashes(world: World) -> None:
    synced = world.sync()
    folder = f"snapshots/{synced.snapshot}"
    files = json.loads(world.bucket.get(f"{folder}/manifest.json"))["files"]

    for entry in files:
        body = world.bucket.get(f"{folder}/{entry['path']}")
        assert entry["size"] == len(body)
        assert entry["sha256"] == hashlib.sha256(body).hexdigest()
    assert synced.bytes == sum(entry["size"] for entry in files)


def test_two_syncs_within_a_second_have_names_in_order(world: World) -> None:
    first = world.sync()
    world.now = NOON
    second = world.sync()

    assert (first.snapshot, second.snapshot) == ("20260217T120000Z", "20260217T120001Z")
    assert world.bucket.latest() == second.snapshot


def test_the_manifest_comes_after_the_files_and_the_pointer_last(world: World) -> None:
    store = world.bucket.store()
    seen: list[tuple[str, bool]] = []

    class Watched(Store):
        def __init__(self) -> None:
            self.__dict__.update(store.__dict__)

        def swap_pointer(self, pointer: Pointer, seen_pointer: StoredPointer | None) -> bool:
            keys = world.bucket.all_keys()
            manifest = f"snapshots/{pointer.timestamp}/manifest.json"
            seen.append((pointer.timestamp, manifest in keys and len(keys) == 6))
            return super().swap_pointer(pointer, seen_pointer)

    world.sync(store=Watched())

    assert seen == [("20260217T120000Z", True)]


def test_an_older_generation_is_refused(world: World) -> None:
    """gitpod #4671: two machines backed up one workspace."""
    world.sync(generation=3)
    before = world.bucket.all_keys()

    with pytest.raises(Refused, match=r"generation 3, this machine of 2"):
        world.sync(generation=2)

    assert world.bucket.all_keys() == before, "the older machine left something in R2"


def test_an_older_generation_is_refused_although_it_began_first(world: World) -> None:
    """The newer machine takes over while the older one uploads: the swap is what decides."""
    world.sync(generation=1)
    newer = b'{"timestamp": "20260217T120000Z", "generation": 2}'
    calls = 0

    def take_over() -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            world.bucket.put("latest.json", newer)
        return False

    with pytest.raises(Refused):
        world.sync(generation=1, stopping=take_over)

    assert world.bucket.get("latest.json") == newer
    assert world.bucket.snapshots() == ["20260217T120000Z"], "the refused snapshot was left"


def test_a_pointer_without_a_generation_counts_as_zero(world: World) -> None:
    world.bucket.put("latest.json", b'{"timestamp": "20260101T000000Z"}')

    assert world.sync(generation=0).held is None


def test_a_pointer_that_moves_meanwhile_is_looked_at_again(world: World) -> None:
    world.sync()

    class Faster(Store):
        def __init__(self, store: Store) -> None:
            self.__dict__.update(store.__dict__)
            self.attempts = 0

        def swap_pointer(self, pointer: Pointer, seen: StoredPointer | None) -> bool:
            self.attempts += 1
            if self.attempts == 1:
                old = b'{"timestamp": "20260217T110000Z", "generation": 1}'
                world.bucket.put("latest.json", old)
            return super().swap_pointer(pointer, seen)

    store = Faster(world.bucket.store())
    synced = world.sync(store=store)

    assert store.attempts == 2, "the conditional write did not notice the change"
    assert world.bucket.latest() == synced.snapshot


def test_a_pointer_write_whose_answer_was_lost_counts(world: World) -> None:
    class Lost(Store):
        def __init__(self, store: Store) -> None:
            self.__dict__.update(store.__dict__)

        def swap_pointer(self, pointer: Pointer, seen: StoredPointer | None) -> bool:
            assert super().swap_pointer(pointer, seen)
            return False

    synced = world.sync(store=Lost(world.bucket.store()))

    assert world.bucket.latest() == synced.snapshot


def test_a_snapshot_that_shrank_is_stored_but_held(world: World) -> None:
    world.grow()
    good = world.sync()
    world.shrink()
    small = world.sync()

    assert small.held is not None
    assert small.held.startswith(f"snapshot {small.snapshot} (")
    assert world.bucket.latest() == good.snapshot
    held = world.bucket.json(f"snapshots/{small.snapshot}/held.json")
    assert (held["previous"], held["previous_bytes"]) == (good.snapshot, good.bytes)
    assert (held["timestamp"], held["bytes"]) == (small.snapshot, small.bytes)
    assert f"snapshots/{small.snapshot}/manifest.json" in world.bucket.all_keys()


def test_the_shrink_guard_compares_with_latest_until_staff_decide(world: World) -> None:
    world.grow()
    good = world.sync()
    world.shrink()
    held = [world.sync().snapshot for _ in range(5)]

    assert world.bucket.latest() == good.snapshot
    assert world.bucket.snapshots() == [good.snapshot, held[0], *held[-2:]]


def test_an_accepted_snapshot_is_good_from_then_on(world: World) -> None:
    world.grow()
    world.sync()
    world.shrink()
    small = world.sync()
    accepted = json.dumps({"timestamp": small.snapshot, "generation": 1}).encode()
    world.bucket.put("latest.json", accepted)

    after = world.sync()

    assert after.held is None
    assert world.bucket.latest() == after.snapshot
    assert f"snapshots/{small.snapshot}/held.json" not in world.bucket.all_keys()


def test_the_shrink_guard_works_although_the_latest_manifest_is_gone(world: World) -> None:
    world.grow()
    world.sync()
    latest = world.sync()
    world.bucket.delete(f"snapshots/{latest.snapshot}/manifest.json")
    world.shrink()

    assert world.sync().held is not None


def test_the_last_three_are_kept(world: World) -> None:
    made = [world.sync().snapshot for _ in range(5)]

    assert world.bucket.snapshots() == made[-3:]


def test_the_rest_of_an_interrupted_upload_is_cleaned_up(world: World) -> None:
    calls = 0

    def stop_at_the_third() -> bool:
        nonlocal calls
        calls += 1
        return calls > 3

    first = world.sync()
    with pytest.raises(Stopped):
        world.sync(stopping=stop_at_the_third)
    world.now += timedelta(minutes=5)
    assert len(world.bucket.snapshots()) == 2, "the test has interrupted nothing"
    assert world.bucket.latest() == first.snapshot, "an interrupted upload moved the pointer"

    second = world.sync()

    assert world.bucket.snapshots() == [first.snapshot, second.snapshot]


def test_unfinished_multipart_uploads_are_aborted(world: World) -> None:
    key = f"{world.bucket.settings.prefix}/snapshots/20260101T000000Z/dolt/hq.backup"
    world.bucket.client.create_multipart_upload(Bucket=world.bucket.name, Key=key)

    world.sync()

    answer = world.bucket.client.list_multipart_uploads(Bucket=world.bucket.name)
    assert answer.get("Uploads", []) == []


def test_a_volume_without_a_town_is_not_backed_up(world: World) -> None:
    world.sync()
    before = world.bucket.all_keys()
    (world.town / "mayor" / "town.json").unlink()

    with pytest.raises(BackupError, match=r"no mayor/town\.json"):
        world.sync()

    assert world.bucket.latest() == "20260217T120000Z"
    assert world.bucket.all_keys() == before


def test_other_towns_are_not_touched(world: World) -> None:
    other = f"{world.bucket.settings.prefix}0/snapshots/20200101T000000Z/config.tar"
    world.bucket.client.put_object(Bucket=world.bucket.name, Key=other, Body=b"x")

    for _ in range(4):
        world.sync()

    world.bucket.client.head_object(Bucket=world.bucket.name, Key=other)
