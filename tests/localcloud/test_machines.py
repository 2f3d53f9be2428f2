"""The Machines API keeps to fly.md."""

import pytest
import requests

from tests.localcloud.conftest import Api, until

pytestmark = pytest.mark.e2e


def test_it_works(api: Api) -> None:
    made = api.machine(name="works", config={"metadata": {"a": "b"}})
    assert len(made["id"]) == 14
    assert (made["state"], len(made["instance_id"])) == ("created", 26)
    listed = api.call("GET", "/machines?metadata.a=b").json()
    assert [machine["id"] for machine in listed] == [made["id"]]


def test_a_wrong_token_is_a_401(api: Api) -> None:
    answer = requests.get(f"{api.url}/machines", headers={"authorization": "Bearer x"}, timeout=5)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "status"}


def test_an_unknown_app_is_a_404_and_so_is_an_unknown_machine(api: Api) -> None:
    assert api.call("GET", "/../nothing/machines").status_code == 404
    assert api.call("GET", "").status_code == 200
    assert api.call("GET", "/machines/00000000000000").status_code == 404


def test_a_name_that_is_taken_is_a_409_that_names_the_machine(api: Api) -> None:
    first = api.machine(name="taken")
    answer = api.call("POST", "/machines", {"name": "taken", "config": {"image": "x"}})
    assert answer.status_code == 409
    assert f"machine ID {first['id']} already exists" in answer.json()["error"]
    api.call("DELETE", f"/machines/{first['id']}")
    until(lambda: api.state(first["id"]) == "destroyed", "the first is destroyed")
    assert api.machine(name="taken")["id"] != first["id"]


def test_waiting_for_stopped_needs_the_instance_and_gives_up_with_408(api: Api) -> None:
    made = api.machine(name="waits")
    path = f"/machines/{made['id']}/wait"
    assert api.call("GET", f"{path}?state=stopped").status_code == 400
    assert api.call("GET", f"{path}?state=started&timeout=0").status_code == 408
    assert api.call("GET", f"{path}?state=nonsense").status_code == 400


def test_a_lease_keeps_others_out(api: Api) -> None:
    made = api.machine(name="leased")
    path = f"/machines/{made['id']}"
    lease = api.call("POST", f"{path}/lease", {"ttl": 30})
    assert lease.status_code == 201
    nonce = lease.json()["data"]["nonce"]
    assert api.call("POST", f"{path}/start").status_code == 409
    headers = {"fly-machine-lease-nonce": nonce}
    body = {"config": {"image": "y"}, "skip_launch": True}
    assert api.call("POST", path, body, **headers).status_code == 200
    assert api.call("DELETE", f"{path}/lease", **headers).status_code == 200
    assert api.call("GET", f"{path}/lease").status_code == 404


def test_an_update_is_guarded_by_the_version(api: Api) -> None:
    made = api.machine(name="updated")
    path = f"/machines/{made['id']}"
    body = {"config": {"image": "y"}, "skip_launch": True, "current_version": "old"}
    assert api.call("POST", path, body).status_code == 412
    body["current_version"] = made["instance_id"]
    assert api.call("POST", path, body).json()["instance_id"] != made["instance_id"]


def test_metadata_is_set_and_removed(api: Api) -> None:
    path = f"/machines/{api.machine(name='metadata')['id']}/metadata"
    api.call("POST", f"{path}/k", {"value": "v"})
    assert api.call("GET", path).json()["k"] == "v"
    api.call("DELETE", f"{path}/k")
    assert "k" not in api.call("GET", path).json()


def test_a_volume_has_one_machine(api: Api) -> None:
    volume = api.volume()
    mounts = {"mounts": [{"volume": volume, "path": "/data"}]}
    made = api.machine(name="first", config=mounts)
    assert api.call("GET", f"/volumes/{volume}").json()["attached_machine_id"] == made["id"]
    second = {"name": "second", "region": "iad", "config": {"image": "x", **mounts}}
    assert api.call("POST", "/machines", second).status_code == 412
    assert api.call("DELETE", f"/volumes/{volume}").status_code == 412
    api.call("DELETE", f"/machines/{made['id']}")
    until(lambda: api.call("DELETE", f"/volumes/{volume}").status_code == 200, "it is free")
    until(lambda: api.call("GET", f"/volumes/{volume}").status_code == 404, "it is gone")


def test_a_volume_that_is_not_there_is_a_400(api: Api) -> None:
    mounts = [{"volume": "vol_none", "path": "/data"}]
    body = {"name": "x", "region": "iad", "config": {"image": "x", "mounts": mounts}}
    answer = api.call("POST", "/machines", body)
    assert (answer.status_code, "volume not found" in answer.json()["error"]) == (400, True)


def test_malformed_bodies_are_refused(api: Api) -> None:
    url, headers = f"{api.url}/machines", {"authorization": f"Bearer {api.cloud.fly_api_token}"}
    assert requests.post(url, data="{x", headers=headers, timeout=5).status_code == 400
    assert api.call("POST", "/machines", {"config": {}}).status_code == 400
    assert api.call("POST", "/volumes", {"name": "No!"}).status_code == 400
    assert api.call("POST", "/volumes", {"name": "a", "size_gb": 0}).status_code == 400


@pytest.mark.parametrize("mode", ["503", "close"])
def test_fly_can_be_down_and_up_again(api: Api, mode: str) -> None:
    api.cloud.ctl.fly_down(mode)
    if mode == "503":
        assert api.call("GET", "/machines").status_code == 503
    else:
        with pytest.raises(requests.ConnectionError):
            api.call("GET", "/machines")
    api.cloud.ctl.fly_up()
    assert api.call("GET", "/machines").status_code == 200


def test_calls_fail_before_or_after_their_effect(api: Api) -> None:
    api.cloud.ctl.fail("create_volume", code=500, when="after")
    before = len(api.call("GET", "/volumes").json())
    assert api.call("POST", "/volumes", {"name": "lost"}).status_code == 500
    assert len(api.call("GET", "/volumes").json()) == before + 1
    api.cloud.ctl.fail("create_volume", code=503, when="before")
    assert api.call("POST", "/volumes", {"name": "lost"}).status_code == 503
    assert len(api.call("GET", "/volumes").json()) == before + 1


def test_there_may_be_no_room(api: Api) -> None:
    api.cloud.ctl.no_capacity("machines", "volumes")
    body = {"name": "x", "config": {"image": "x"}}
    answer = api.call("POST", "/machines", body)
    assert (answer.status_code, answer.json()["status"]) == (412, "insufficient_capacity")
    assert api.call("POST", "/volumes", {"name": "a"}).status_code == 400


def test_the_token_may_be_refused(api: Api) -> None:
    api.cloud.ctl.refuse_token(403)
    assert api.call("GET", "/machines").status_code == 403
