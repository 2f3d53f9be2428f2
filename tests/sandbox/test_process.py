"""The agent as a real process: start-up, sync, restore, SIGTERM."""

import json
import subprocess
import sys
from pathlib import Path

from .running import KEY, ControlPlane, Sandbox
from .test_restore import back_up
from .world import Bucket, make_town, poll, write


def config_names(bucket: Bucket, snapshot: str) -> list[str]:
    return bucket.tar_names(f"snapshots/{snapshot}/config.tar")


def test_the_life_of_a_new_town(
    sandbox: Sandbox, bucket: Bucket, control_plane: ControlPlane
) -> None:
    url = f"http://127.0.0.1:{control_plane.server_port}"
    sandbox.start(CONTROL_PLANE_URL=url, GENERATION="2")
    first = sandbox.wait_for_backup()
    assert sandbox.gt_commands() == [f"install {sandbox.volume}", "up"]
    assert bucket.json("latest.json") == {"timestamp": first, "generation": 2}
    poll(lambda: control_plane.beats, "the heartbeat")
    path, key, beat = control_plane.beats[0]
    assert (path, key) == ("/api/gastown/heartbeat", KEY)
    assert beat["town_id"] == "town-1"
    assert (beat["snapshot"], beat["generation"], beat["held"]) == (first, 2, False)
    assert beat["files"] == 2

    status, body = sandbox.ask("POST", "/sync")
    assert (status, body["previous"]) == (202, first)
    second = poll(lambda: bucket.latest() if bucket.latest() != first else None, "a new pointer")

    assert sandbox.terminate() == 0
    assert sandbox.gt_commands()[2:] == ["down --all"]
    last = bucket.latest()
    assert last is not None
    assert last > second
    assert "config/after-down.txt" in config_names(bucket, last), "the sync came before gt down"
    assert "config/after-down.txt" not in config_names(bucket, second)


def test_health_has_its_shape(sandbox: Sandbox) -> None:
    sandbox.start(FLY_MACHINE_ID="148e")
    sandbox.wait_for_backup()

    status, body = sandbox.ask("GET", "/health")

    assert status == 200
    assert body["town_id"] == "town-1"
    assert body["machine_id"] == "148e"
    assert body["version"] == "1.0.1"
    assert sandbox.health("daemon")["running"] is False
    assert sandbox.health("dolt") == {"running": False, "port": 1, "latency_ms": None}
    assert sandbox.health("restore") == {"state": "none", "snapshot": None, "error": None}
    assert body["draining"] is False
    assert set(body) >= {"started_at", "tmux", "polecats", "disk", "memory", "cpu", "merge_queue"}


def test_programs_of_the_town_get_no_keys(sandbox: Sandbox) -> None:
    sandbox.start()
    sandbox.wait_for_backup()

    for line in sandbox.gt_log.read_text().splitlines():
        entry = json.loads(line)
        assert entry["secrets"] == []
        assert entry["cwd"] == str(sandbox.volume)


def test_a_town_that_is_there_is_taken_as_it_is(sandbox: Sandbox, bucket: Bucket) -> None:
    make_town(sandbox.volume)
    sandbox.start()
    sandbox.wait_for_backup()

    assert sandbox.gt_commands() == ["up"]
    assert sandbox.health("restore")["state"] == "none"


def test_an_empty_volume_is_restored(sandbox: Sandbox, bucket: Bucket, town: Path) -> None:
    [snapshot] = back_up(bucket, town)
    sandbox.start()

    sandbox.wait_for("restore", state="done", snapshot=snapshot, error=None)
    newer = poll(lambda: bucket.latest() if bucket.latest() != snapshot else None, "a new sync")

    assert newer > snapshot
    assert (sandbox.volume / "config" / "note.txt").read_text() == "note 0"
    assert sandbox.gt_commands() == ["up"]


def test_a_corrupt_snapshot_is_passed_over_and_reported(
    sandbox: Sandbox, bucket: Bucket, town: Path
) -> None:
    first, second = back_up(bucket, town, 2)
    bucket.corrupt(second)
    sandbox.start()

    report = sandbox.wait_for("restore", state="done", snapshot=first)

    assert f"snapshot {second} is corrupt" in str(report["error"])
    assert (sandbox.volume / "config" / "note.txt").read_text() == "note 0"


def test_if_nothing_can_be_restored_nothing_is_backed_up(
    sandbox: Sandbox, bucket: Bucket, town: Path
) -> None:
    for name in back_up(bucket, town, 2):
        bucket.corrupt(name)
    before = bucket.all_keys()
    sandbox.start(SYNC_INTERVAL_SECONDS="0.05")

    report = sandbox.wait_for("restore", state="failed")

    assert "is corrupt" in str(report["error"])
    assert sandbox.ask("POST", "/sync") == (409, {"error": "restoring"})
    assert sandbox.terminate() == 0
    assert sandbox.gt_commands() == [], "gt was run without a town"
    assert bucket.all_keys() == before


def test_the_api_is_up_while_the_restore_runs_and_sigterm_ends_it(sandbox: Sandbox) -> None:
    sandbox.start(R2_ENDPOINT="http://127.0.0.1:1")

    assert sandbox.wait_for("restore", state="running")["snapshot"] is None
    assert sandbox.ask("POST", "/sync") == (409, {"error": "restoring"})
    assert sandbox.terminate() == 0
    assert sandbox.gt_commands() == []


def test_a_restore_that_was_killed_begins_anew(
    sandbox: Sandbox, bucket: Bucket, town: Path
) -> None:
    back_up(bucket, town)
    half = sandbox.volume / ".sandbox" / "restore" / "town"
    write(half / "mayor" / "town.json", '{"half": true}')
    sandbox.start()

    sandbox.wait_for("restore", state="done")

    assert "half" not in (sandbox.volume / "mayor" / "town.json").read_text()
    assert (sandbox.volume / "config" / "note.txt").exists()


def test_an_install_that_was_killed_is_done_again(sandbox: Sandbox) -> None:
    write(sandbox.volume / ".sandbox" / "installing", "")
    write(sandbox.volume / "mayor" / "town.json", "{}")
    sandbox.start()
    sandbox.wait_for_backup()

    assert sandbox.gt_commands() == [f"install {sandbox.volume} --force", "up"]


def test_an_older_generation_backs_nothing_up(sandbox: Sandbox, bucket: Bucket) -> None:
    """gitpod #4671, and a lost machine that comes back (product.md 1.6)."""
    make_town(sandbox.volume)
    pointer = {"timestamp": "20260217T120000Z", "generation": 7}
    bucket.put("latest.json", json.dumps(pointer).encode())
    sandbox.start(GENERATION="6")

    def refused() -> bool:
        return "of generation 7" in str(sandbox.health("backup")["last_error"])

    poll(refused, "the refusal in /health")
    assert sandbox.terminate() == 0
    assert bucket.json("latest.json") == pointer
    assert bucket.all_keys() == ["latest.json"]


def test_a_held_snapshot_is_reported(
    sandbox: Sandbox, bucket: Bucket, control_plane: ControlPlane
) -> None:
    make_town(sandbox.volume, payload="x" * 1_000_000)
    url = f"http://127.0.0.1:{control_plane.server_port}"
    sandbox.start(CONTROL_PLANE_URL=url)
    good = sandbox.wait_for_backup()
    (sandbox.volume / "config" / "note.txt").write_text("x")

    sandbox.ask("POST", "/sync")

    def held() -> bool:
        return "held for staff" in str(sandbox.health("backup")["last_error"])

    poll(held, "the shrink guard in /health")
    assert sandbox.health("backup")["snapshot"] == good
    assert bucket.latest() == good
    poll(lambda: len(control_plane.beats) == 2, "the second heartbeat")
    assert control_plane.beats[1][2]["held"] is True


def test_a_town_whose_gt_fails_is_backed_up_all_the_same(sandbox: Sandbox, bucket: Bucket) -> None:
    """The last sync must work without anything running."""
    make_town(sandbox.volume)
    for command in ("up", "down"):
        write(Path(f"{sandbox.gt_log}.fail-{command}"), "")
    sandbox.start()
    first = sandbox.wait_for_backup()

    assert sandbox.terminate() == 0
    assert str(bucket.latest()) > first


def test_syncs_come_at_their_interval(sandbox: Sandbox, bucket: Bucket) -> None:
    make_town(sandbox.volume)
    sandbox.start(SYNC_INTERVAL_SECONDS="0.1")
    first = sandbox.wait_for_backup()

    poll(lambda: str(bucket.latest()) > first, "a second sync")


def test_without_r2_an_empty_volume_is_left_alone(sandbox: Sandbox) -> None:
    """Nobody can say whether this town is new or lost."""
    sandbox.start(R2_BUCKET="")

    report = sandbox.wait_for("restore", state="failed")

    assert report["error"] == "R2 is not configured: set R2_BUCKET"
    assert sandbox.ask("POST", "/sync") == (503, {"error": "R2 is not configured: set R2_BUCKET"})
    assert sandbox.gt_commands() == []


def test_no_secret_is_in_the_log(sandbox: Sandbox) -> None:
    sandbox.start(R2_ENDPOINT="http://127.0.0.1:1/test-secret-key")
    sandbox.wait_for("restore", state="running")
    sandbox.terminate()

    output = sandbox.output.read_text()
    assert "test-secret-key" not in output
    assert KEY not in output


def test_an_incomplete_environment_is_named(sandbox: Sandbox) -> None:
    environment = {**sandbox.environment, "TOWN_ID": "", "SYNC_INTERVAL_SECONDS": "often"}

    done = subprocess.run(
        [sys.executable, "-m", "sandbox"], env=environment, capture_output=True, text=True
    )

    assert done.returncode == 2
    assert done.stderr == (
        "sandbox: the environment is not complete: TOWN_ID is not set; SYNC_INTERVAL_SECONDS must "
        "be a number of seconds above 0, not 'often'\n"
    )
