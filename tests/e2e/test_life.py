"""A town's whole life on real processes: its data outlive everything."""

import io
import tarfile

import pytest

from tests.e2e.installation import SYNC_SECONDS, CommandFailed, Installation, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def test_it_works(ops: Installation) -> None:
    town = ops.town(ops.new_town())
    assert town["status"] == "running"
    assert town["health"]["daemon_running"] is True
    assert town["health"]["dolt_running"] is True


def test_data_survive_stop_and_start(ops: Installation) -> None:
    name = ops.new_town()
    ops.write(name, "before the stop")
    ops.manage("town", "stop", name, "--wait")
    assert ops.town(name)["status"] == "stopped"
    ops.manage("town", "start", name, "--wait")
    assert ops.read(name) == "before the stop"


def test_a_stop_leaves_a_backup_made_after_gt_down(ops: Installation) -> None:
    name = ops.new_town()
    ops.write(name, "the last words")
    before = ops.snapshot(name)
    ops.manage("town", "stop", name, "--wait")
    assert ops.snapshot(name) > before
    with tarfile.open(fileobj=io.BytesIO(ops.snapshot_file(name, "runtime.tar"))) as tar:
        names = tar.getnames()
    assert ".runtime/last-down" in names, "`gt down --all` writes it, and the last sync has it"


def test_data_survive_a_lost_volume(ops: Installation) -> None:
    name = ops.new_town()
    ops.write(name, "in the backup")
    ops.backed_up(name)
    before = ops.town(name)
    ops.cloud.ctl.lose_volume(before["volume_id"])
    for _ in range(3):
        ops.run("sweep_health", name)
    ops.run("run_operations", "--until-idle")
    after = until(
        lambda: ((found := ops.town(name))["status"] == "running" and found) or None,
        "the town runs again",
    )
    assert after["volume_id"] != before["volume_id"]
    assert after["machine_id"] != before["machine_id"]
    assert ops.read(name) == "in the backup"


def test_the_loss_after_a_crash_is_at_most_the_sync_interval(ops: Installation) -> None:
    name = ops.new_town()
    ops.write(name, "older than the sync interval")
    snapshot = ops.snapshot(name)
    until(
        lambda: ops.snapshot(name) > snapshot,
        f"a sync by itself after {snapshot}",
        seconds=10 * SYNC_SECONDS,
    )
    ops.cloud.ctl.lose_volume(ops.town(name)["volume_id"])
    for _ in range(3):
        ops.run("sweep_health", name)
    ops.run("run_operations", "--until-idle")
    assert ops.read(name) == "older than the sync interval"


def test_data_survive_destroy_and_restore(ops: Installation) -> None:
    name = ops.new_town()
    ops.write(name, "kept for thirty days")
    ops.manage("town", "destroy", name, "--yes", "--wait")
    gone = ops.town(name)
    assert (gone["status"], gone["machine_id"], gone["volume_id"]) == ("destroyed", "", "")
    assert gone["restore_until"] is not None
    ops.manage("town", "restore", name, "--wait")
    assert ops.town(name)["status"] == "running"
    assert ops.read(name) == "kept for thirty days"


def test_a_killed_machine_heals_by_itself(ops: Installation) -> None:
    name = ops.new_town()
    ops.write(name, "on the volume")
    ops.cloud.ctl.kill(ops.town(name)["machine_id"])
    for _ in range(3):
        ops.run("sweep_health", name)
    ops.run("run_operations", "--until-idle")
    until(lambda: ops.town(name)["status"] == "running", "the town runs again")
    assert ops.read(name) == "on the volume"


def test_a_wrong_status_is_one_clear_line(ops: Installation) -> None:
    name = ops.new_town()
    with pytest.raises(CommandFailed) as caught:
        ops.manage("town", "start", name)
    assert caught.value.code == 1
    assert caught.value.stderr.strip().splitlines() == [f"{name} is running already."]


def test_a_refused_token_is_one_clear_line_and_loses_nothing(ops: Installation) -> None:
    name = ops.new_town()
    ops.write(name, "still there")
    ops.manage("town", "stop", name)
    ops.run("run_operations", "--until-idle", "2", GASTOWN_FLY_API_TOKEN="wrong")
    shown = ops.run("town", "show", name).stdout
    [line] = [line for line in shown.splitlines() if line.startswith("under way")]
    assert "stop machine, failed" in line
    assert "Fly answered 401" in line
    assert "Set GASTOWN_FLY_API_TOKEN to a valid deploy token" in line
    ops.manage("town", "stop", name, "--wait")
    ops.manage("town", "start", name, "--wait")
    assert ops.read(name) == "still there"
