"""Machines are real processes, each with a sandbox, and their data are real files."""

import pytest

from localcloud.client import CtlError
from tests.localcloud.conftest import Api, until

pytestmark = pytest.mark.e2e


def well(api: Api, machine_id: str) -> None:
    until(lambda: api.is_well(machine_id), "the town is well")


def test_it_works(api: Api) -> None:
    town = api.town("works")
    well(api, town["id"])
    health = api.health(town["id"])
    assert (health["town_id"], health["machine_id"]) == ("works", town["id"])
    assert health["daemon"]["pid"] > 0
    until(lambda: api.health(town["id"])["daemon"]["heartbeat_count"], "the daemon beats")


def test_polecats_work_and_go_idle(api: Api) -> None:
    town = api.town("polecats")
    well(api, town["id"])
    api.cloud.ctl.polecat(town["id"], "toast", "work")
    until(lambda: api.health(town["id"])["polecats"] == {"active": 1, "total": 1}, "it works")
    api.cloud.ctl.polecat(town["id"], "toast", "idle")
    until(lambda: api.health(town["id"])["polecats"] == {"active": 0, "total": 1}, "it is idle")


def test_a_stop_leaves_a_backup_and_a_start_has_the_data(api: Api) -> None:
    town = api.town("sleeps")
    well(api, town["id"])
    api.cloud.ctl.write(town["id"], "notes", "hello")
    api.stop(town["id"])
    keys = [
        one["Key"]
        for one in api.s3().list_objects_v2(Bucket=api.cloud.r2_bucket, Prefix="gastown/sleeps/")[
            "Contents"
        ]
    ]
    assert "gastown/sleeps/latest.json" in keys
    api.call("POST", f"/machines/{town['id']}/start")
    well(api, town["id"])
    assert api.cloud.ctl.read(town["id"], "notes") == "hello"


def test_a_lost_volume_is_restored_from_the_backup(api: Api) -> None:
    town = api.town("lost")
    well(api, town["id"])
    api.cloud.ctl.write(town["id"], "notes", "hello")
    api.stop(town["id"])
    volume = town["config"]["mounts"][0]["volume"]
    api.cloud.ctl.lose_volume(volume)
    assert api.call("GET", f"/machines/{town['id']}").status_code == 404
    assert api.call("GET", f"/volumes/{volume}").status_code == 404
    again = api.town("lost", generation=2)
    well(api, again["id"])
    assert api.health(again["id"])["restore"]["state"] == "done"
    assert api.cloud.ctl.read(again["id"], "notes") == "hello"


def test_a_killed_machine_is_started_again_by_its_policy(api: Api) -> None:
    town = api.town("killed")
    well(api, town["id"])
    pid = api.health(town["id"])["daemon"]["pid"]
    api.cloud.ctl.kill(town["id"])
    until(
        lambda: api.is_well(town["id"]) and api.health(town["id"])["daemon"]["pid"] != pid,
        "it is well again",
    )


def test_a_machine_that_is_killed_for_good_stays_down_until_it_is_started(api: Api) -> None:
    town = api.town("down")
    well(api, town["id"])
    api.cloud.ctl.kill(town["id"], down=True)
    until(lambda: api.state(town["id"]) == "stopped", "Fly leaves it stopped")
    api.call("POST", f"/machines/{town['id']}/start")
    well(api, town["id"])


def test_a_running_machine_is_destroyed_only_by_force(api: Api) -> None:
    town = api.town("forced")
    well(api, town["id"])
    path = f"/machines/{town['id']}"
    assert api.call("DELETE", path).status_code == 412
    assert api.call("DELETE", f"{path}?force=true").status_code == 200
    until(lambda: api.state(town["id"]) == "destroyed", "it is destroyed")
    assert town["id"] not in [one["id"] for one in api.call("GET", "/machines").json()]


def test_a_town_can_hang_refuse_and_be_mended(api: Api) -> None:
    town = api.town("broken")
    well(api, town["id"])
    api.cloud.ctl.refuse(town["id"], "refuse")
    assert api.health(town["id"]) == {}
    api.cloud.ctl.refuse(town["id"], "forbidden")
    assert api.health(town["id"]) == {"error": "Forbidden"}
    api.cloud.ctl.mend(town["id"])
    assert api.is_well(town["id"])


def test_who_is_not_there_is_told_in_one_line(api: Api) -> None:
    with pytest.raises(CtlError, match="no machine is called 'nobody'"):
        api.cloud.ctl.kill("nobody")
