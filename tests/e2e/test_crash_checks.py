"""What `test_crash_points` looks for at the end is seen when it is there."""

import pytest

from tests.e2e.crash_place import Pair, Place, not_met
from tests.e2e.points import AFTER, AT, BEFORE, STEP, Point, Slice, name_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def test_machines_and_volumes(place: Place, towns: Pair) -> None:
    town = towns[0]
    of_town = {"config": {"image": "x", "metadata": {"gastown_town_id": town}}}
    machines = [
        place.fly("POST", "machines", {"name": name, "region": "iad", "skip_launch": True, **body})
        for name, body in (("a-twin", of_town), ("nobodys", {"config": {"image": "x"}}))
    ]
    twin, nobodys = (answer.json()["id"] for answer in machines)
    name = place.fly("GET", f"volumes/{place.volume(town)}").json()["name"]
    body = {"name": name, "region": "iad", "size_gb": 1}
    volume = place.fly("POST", "volumes", body).json()["id"]
    problems = "; ".join(place.workers.ask("problems_at_fly"))
    assert f"machine {twin} is an orphan or a twin" in problems
    assert f"machine {nobodys} is nobody's" in problems
    assert f"volume {volume} is an orphan or a twin" in problems
    with pytest.raises(AssertionError):
        place.assert_nothing_left(town)
    for path in (f"machines/{twin}", f"machines/{nobodys}", f"volumes/{volume}"):
        place.fly("DELETE", path)
    place.assert_nothing_left(town)


def test_objects_in_r2(place: Place, towns: Pair) -> None:
    town = towns[0]
    keys = f"retained/{town}/x", f"gastown/{town}/snapshots/20200101T000000Z/config.tar"
    for key in keys:
        place.ops.s3().put_object(Bucket=place.ops.cloud.r2_bucket, Key=key, Body=b"left")
    problems = place.workers.ask("problems_in_r2", town=town)
    assert f"{keys[0]} is left" in problems
    assert "20200101T000000Z: its manifest is missing" in problems
    for key in keys:
        place.ops.s3().delete_object(Bucket=place.ops.cloud.r2_bucket, Key=key)


def test_requests_that_nobody_came_to() -> None:
    change, look = "POST /machines", "GET /machines"
    calls = [Point("make", change, 1, AFTER), Point("wait", look, 1, BEFORE)]
    assert not_met(calls, []) == [str(one) for one in calls]
    assert not_met(calls, [Point("other", change, 1, AFTER), Point("other", look, 1, BEFORE)]) == [
        "after POST /machines #1 in make"
    ]
    assert not_met([Point("make", STEP, 1, AT)], [Point("wait", STEP, 1, AT)]) != []


def test_a_slice_has_all_changes_and_a_share_of_the_rest() -> None:
    looks = [Point("step", "GET /x", number, BEFORE) for number in range(1000)]
    change = Point("step", "POST /x", 1, BEFORE)
    few = Slice(0.25, seed=7)
    assert few.has(change)
    assert 150 < sum(map(few.has, looks)) < 350
    assert list(map(few.has, looks)) != list(map(Slice(0.25, seed=8).has, looks))
    assert all(map(Slice().has, looks))


def test_a_request_is_called_the_same_for_every_town() -> None:
    town, volume = "0b8f8a52-6c0e-4a5e-9f0a-3b1d7c2e4f60", "vol_1a2b3c4d5e6f7g8h"
    assert name_of("POST", "/v1/apps/towns/machines/148e0123abcdef/stop") == (
        "POST /v1/apps/towns/machines/{machine}/stop"
    )
    assert name_of("DELETE", f"/v1/apps/towns/volumes/{volume}").endswith("/{volume}")
    assert name_of("GET", f"/b?prefix=gastown%2F{town}%2Fsnapshots%2F20260217T120000Z%2F") == (
        "GET /b?prefix=gastown/{id}/snapshots/{snapshot}/"
    )
