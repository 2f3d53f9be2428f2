"""Restoring a town: the right snapshot, sound or not at all."""

import functools
import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.errors import Corrupt, Stopped, Unavailable
from sandbox.restore import Candidates, find_candidates, restore
from sandbox.settings import R2Settings
from sandbox.store import connect
from sandbox.sync import Syncer
from sandbox.volume import Staged, Volume, VolumeState

from .world import COMMIT_MESSAGE, Bucket, git

NOON = datetime(2026, 2, 17, 12, 0, tzinfo=UTC)


def back_up(bucket: Bucket, town: Path, count: int = 1) -> list[str]:
    """Make some snapshots; the note in config/ tells which one."""
    times = (NOON + timedelta(minutes=5 * number) for number in itertools.count())
    clock = functools.partial(next, times)
    names = []
    for number in range(count):
        (town / "config" / "note.txt").write_text(f"note {number}")
        syncer = Syncer(bucket.store(), town, town.parent / "scratch", 1, clock)
        names.append(syncer.sync(lambda: False).snapshot)
    return names


def restore_to(bucket: Bucket, folder: Path) -> Staged:
    store = bucket.store()
    candidates = find_candidates(store)
    assert candidates is not None
    return restore(store, Volume(folder), candidates, lambda: False)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A volume as Fly gives it: ext4 is never an empty folder."""
    folder = tmp_path / "volume"
    (folder / "lost+found").mkdir(parents=True)
    return folder


def test_it_works(bucket: Bucket, town: Path, empty: Path) -> None:
    [snapshot] = back_up(bucket, town)

    staged = restore_to(bucket, empty)

    assert staged == Staged(snapshot, None)
    assert Volume(empty).state() is VolumeState.WHOLE
    for path in (
        "mayor/town.json",
        "mayor/rigs.json",
        "settings/config.json",
        "config/note.txt",
        ".beads/issues.jsonl",
        "web/settings/agents.json",
        "web/config.json",
        ".runtime/heartbeats/web-nux.json",
        ".dolt-data/hq/.dolt/noms/manifest",
        ".dolt-data/web/.dolt/noms/manifest",
    ):
        assert (empty / path).read_text() == (town / path).read_text(), path


def test_repositories_come_back_with_history_and_remote(
    bucket: Bucket, town: Path, empty: Path
) -> None:
    back_up(bucket, town)
    restore_to(bucket, empty)

    repository = empty / "web" / ".repo.git"
    assert git(repository, "log", "--format=%s", "main") == COMMIT_MESSAGE
    assert git(repository, "tag") == "v1"
    assert git(repository, "config", "remote.origin.url") == "https://example.test/web.git"
    assert git(repository, "rev-parse", "--is-bare-repository") == "true"


def test_no_pid_lock_or_socket_is_restored(bucket: Bucket, town: Path, empty: Path) -> None:
    back_up(bucket, town)
    restore_to(bucket, empty)

    names = {path.name for path in empty.rglob("*") if ".repo.git" not in path.parts}
    assert names.isdisjoint({"pids", "web-nux.pid", "agent.lock", "LOCK", "sql-server.info"})


def test_nothing_of_the_restore_is_left(bucket: Bucket, town: Path, empty: Path) -> None:
    back_up(bucket, town)
    restore_to(bucket, empty)

    assert list((empty / ".sandbox").rglob("*")) == []


def test_a_corrupt_snapshot_falls_back_to_the_previous(
    bucket: Bucket, town: Path, empty: Path
) -> None:
    """litestream #582: a backup that did not restore, and nobody said so."""
    first, second = back_up(bucket, town, 2)
    bucket.corrupt(second)

    staged = restore_to(bucket, empty)

    assert staged.snapshot == first
    assert staged.error == (
        f"snapshot {second} is corrupt: config.tar of {second} is not the file that its manifest "
        f"lists; restored {first}"
    )
    assert (empty / "config" / "note.txt").read_text() == "note 0"


@pytest.mark.parametrize("path", ["config.tar", "dolt/hq.backup", "git/web.bundle", "runtime.tar"])
def test_each_file_is_checked(bucket: Bucket, town: Path, empty: Path, path: str) -> None:
    first, second = back_up(bucket, town, 2)
    bucket.corrupt(second, path)

    assert restore_to(bucket, empty).snapshot == first


@pytest.mark.parametrize("path", ["manifest.json", "config.tar", "dolt/hq.backup"])
def test_a_missing_file_is_corruption(bucket: Bucket, town: Path, empty: Path, path: str) -> None:
    first, second = back_up(bucket, town, 2)
    bucket.delete(f"snapshots/{second}/{path}")

    assert restore_to(bucket, empty).snapshot == first


@pytest.mark.parametrize(
    "files",
    [
        [],
        "none",
        [{"path": "../../etc/passwd", "size": 1, "sha256": "00"}],
        [{"path": "config.tar", "size": -1, "sha256": "00"}],
        [{"path": "config.tar"}],
    ],
)
def test_a_senseless_manifest_is_corruption(
    bucket: Bucket, town: Path, empty: Path, files: object
) -> None:
    first, second = back_up(bucket, town, 2)
    manifest = {"timestamp": second, "created_at": "", "gt_version": None, "files": files}
    bucket.put(f"snapshots/{second}/manifest.json", json.dumps(manifest).encode())

    assert restore_to(bucket, empty).snapshot == first


def test_if_all_are_corrupt_nothing_is_restored(bucket: Bucket, town: Path, empty: Path) -> None:
    for name in back_up(bucket, town, 3):
        bucket.corrupt(name)

    with pytest.raises(Corrupt) as caught:
        restore_to(bucket, empty)

    assert str(caught.value).count("is corrupt") == 3
    assert Volume(empty).state() is VolumeState.EMPTY
    assert sorted(path.name for path in empty.iterdir()) == [".sandbox", "lost+found"]


def test_r2_out_of_reach_is_no_corruption(bucket: Bucket, town: Path, empty: Path) -> None:
    """A time-out proves nothing: no older snapshot, and above all no new town."""
    back_up(bucket, town)
    nowhere = connect(R2Settings("http://127.0.0.1:1", bucket.name, "p", "a", "b"))

    with pytest.raises(Unavailable):
        find_candidates(nowhere)
    with pytest.raises(Unavailable):
        restore(nowhere, Volume(empty), Candidates(("20260217T120000Z",)), lambda: False)
    assert Volume(empty).state() is VolumeState.EMPTY


def test_no_snapshot_at_all_is_a_new_town(bucket: Bucket) -> None:
    assert find_candidates(bucket.store()) is None


def test_the_rest_of_an_upload_is_no_snapshot(bucket: Bucket) -> None:
    bucket.put("snapshots/20260217T120000Z/config.tar", b"half")

    assert find_candidates(bucket.store()) is None


def test_without_a_pointer_the_snapshots_count(bucket: Bucket, town: Path) -> None:
    names = back_up(bucket, town, 2)
    bucket.delete("latest.json")

    candidates = find_candidates(bucket.store())

    assert candidates == Candidates((names[1], names[0]), "latest.json is missing")


def test_a_malformed_pointer_is_reported(bucket: Bucket, town: Path) -> None:
    names = back_up(bucket, town, 1)
    bucket.put("latest.json", b"{")

    candidates = find_candidates(bucket.store())

    assert candidates == Candidates((names[0],), "latest.json is no JSON")


def test_what_never_became_latest_is_not_restored(bucket: Bucket, town: Path) -> None:
    names = back_up(bucket, town, 3)
    pointer = json.dumps({"timestamp": names[1], "generation": 1}).encode()
    bucket.put("latest.json", pointer)
    bucket.put(f"snapshots/{names[0]}/held.json", b"{}")

    assert find_candidates(bucket.store()) == Candidates((names[1],))


def test_sigterm_ends_a_restore(bucket: Bucket, town: Path, empty: Path) -> None:
    back_up(bucket, town)
    store = bucket.store()
    candidates = find_candidates(store)
    assert candidates is not None

    with pytest.raises(Stopped):
        restore(store, Volume(empty), candidates, lambda: True)

    assert Volume(empty).state() is VolumeState.EMPTY


def test_what_lay_on_the_volume_is_set_aside(bucket: Bucket, town: Path, empty: Path) -> None:
    """Somebody deleted mayor/town.json: what else is there may be newer than the backup."""
    [snapshot] = back_up(bucket, town)
    (empty / "config").mkdir()
    (empty / "config" / "newer.txt").write_text("newer")

    restore_to(bucket, empty)

    aside = empty / ".sandbox" / "set-aside" / snapshot
    assert (aside / "config" / "newer.txt").read_text() == "newer"
    assert not (empty / "config" / "newer.txt").exists()
    assert (empty / "lost+found").is_dir()
