"""A restore drill on real processes: it restores for real, and finds what is corrupt."""

from typing import Any

import pytest

from localcloud.client import CtlError
from tests.e2e.installation import CommandFailed, Installation, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def drills(ops: Installation) -> list[dict[str, Any]]:
    """The throw-away machines that Fly has."""
    machines: list[dict[str, Any]] = ops.cloud.ctl.status()["machines"]
    return [one for one in machines if one["name"].startswith("gastown-drill-")]


def stopped_town(ops: Installation, text: str) -> str:
    """A town whose newest snapshot has what was written; stopped, so that none is newer."""
    name = ops.new_town()
    ops.write(name, text)
    ops.manage("town", "stop", name, "--wait")
    return name


def keys(ops: Installation, town_id: str) -> dict[str, str]:
    """What is below the town's prefix in R2, with its tags."""
    found = ops.s3().list_objects_v2(Bucket=ops.cloud.r2_bucket, Prefix=f"gastown/{town_id}/")
    return {item["Key"]: item["ETag"] for item in found["Contents"]}


def inside(ops: Installation, machine_id: str) -> str:
    """The files of the daemon's folder in a machine; nothing while there is none."""
    try:
        return ops.cloud.ctl.execute(machine_id, ["ls", "daemon"])
    except CtlError:
        return ""


def test_it_works(ops: Installation) -> None:
    name = stopped_town(ops, "to be restored in a drill")
    before, prefix, volumes = ops.town(name), ops.town(name)["id"], ops.volumes()
    in_r2 = keys(ops, prefix)
    told = ops.manage("town", "drill", name, "--wait")
    assert told["operation"]["state"] == "succeeded"
    steps = [entry["step"] for entry in told["operation"]["log"]]
    assert steps[-3:] == ["await_restored", "remove_machine", "remove_volume"]
    drill = told["drill"]
    assert (drill["result"], drill["snapshot"]) == ("ok", ops.snapshot(name))
    assert keys(ops, prefix) == in_r2, "R2 is as it was"
    assert drills(ops) == []
    assert ops.volumes() == volumes
    after = ops.town(name)
    for fact in ("status", "machine_id", "volume_id", "status_reason"):
        assert after[fact] == before[fact]
    ops.manage("town", "start", name, "--wait")
    assert ops.read(name) == "to be restored in a drill"


def test_a_corrupt_snapshot_is_found_and_said_before_it_is_needed(ops: Installation) -> None:
    name = stopped_town(ops, "about to rot")
    newest = ops.snapshot(name)
    key = f"gastown/{ops.town(name)['id']}/snapshots/{newest}/config.tar"
    body = bytearray(ops.snapshot_file(name, "config.tar"))
    body[len(body) // 2] ^= 0xFF  # the size stays: only a restore sees it
    ops.s3().put_object(Bucket=ops.cloud.r2_bucket, Key=key, Body=bytes(body))
    with pytest.raises(CommandFailed) as caught:
        ops.manage("town", "drill", name, "--wait")
    assert caught.value.code == 1
    assert f"snapshot {newest}" in caught.value.stderr
    assert "config.tar" in caught.value.stderr
    shown = ops.town(name)
    drill = shown["last_drill"]
    assert (drill["result"], drill["snapshot"]) == ("corrupt", newest)
    assert "" < drill["fell_back_to"] < newest
    assert shown["status"] == "stopped"
    assert drills(ops) == []
    # The town is whole on its volume: once it runs it is backed up anew, and that one restores.
    ops.manage("town", "start", name, "--wait")
    ops.backed_up(name)
    ops.manage("town", "drill", name, "--wait")
    assert ops.town(name)["last_drill"]["result"] == "ok"


def test_a_running_town_stays_as_it_is_and_no_agents_run_in_its_drill(ops: Installation) -> None:
    name = ops.new_town()
    ops.write(name, "it runs on")
    ops.backed_up(name)
    before, volumes = ops.town(name), ops.volumes()
    ops.manage("town", "drill", name)
    with ops.started("run_operations") as worker:
        until(lambda: drills(ops), "its machine is made")
        worker.kill()
    [machine] = drills(ops)
    assert machine["volumes"] != [before["volume_id"]]
    until(lambda: "dolt.pid" in inside(ops, machine["id"]), "it has restored, and Dolt runs")
    assert "daemon.lock" not in inside(ops, machine["id"]), "no daemon was ever started in it"
    ops.manage("town", "stop", name, "--wait")  # nobody waits for the drill
    assert ops.town(name)["status"] == "stopped"
    assert ops.town(name)["last_drill"]["result"] == "inconclusive"

    def is_clean() -> bool:
        ops.run("sweep_backups", GASTOWN_BACKUPS_PERIOD_SECONDS="1", GASTOWN_DRILLS_PER_DAY="0")
        return drills(ops) == [] and ops.volumes() <= volumes

    until(is_clean, "what it left over is removed")
