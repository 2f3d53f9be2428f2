"""Several apps of Fly: each is asked for its own, with its own budget and its own 404."""

import pytest
import requests
import responses

from towns.services.errors import Misconfigured, NotFound, RateLimited, Rejected
from towns.services.fly_apps import FlyAppsClient
from towns.services.fly_http import new_session
from towns.services.fly_types import FlyConfig
from towns.services.limits import TokenBuckets

from .fly_answers import MACHINE_ID, MACHINE_SPEC, TOKEN, URL, NoLimit, machine, volume

APPS = f"{URL}/apps"
ABSENT = {"status": 404, "json": {"error": "machine not found"}}


def fly(app: str = "towns-{1..3}") -> FlyAppsClient:
    return FlyAppsClient(FlyConfig(URL, TOKEN, app), limiter=NoLimit())


@responses.activate
def test_it_works() -> None:
    for app in ("towns-1", "towns-3", "left-over"):
        responses.get(f"{APPS}/{app}/machines", json=[machine(id=f"of{app.replace('-', '')}")])
    found = [fly().of(app).list_machines()[0].id for app in ("towns-1", "towns-3", "left-over")]
    assert found == ["oftowns1", "oftowns3", "ofleftover"]


@responses.activate
def test_every_call_is_made_in_the_app() -> None:
    base = f"{APPS}/towns-2"
    one, disk = f"{base}/machines/{MACHINE_ID}", f"{base}/volumes/vol_1"
    responses.get(base, json={"name": "towns-2"})
    responses.post(f"{base}/machines", json=machine())
    responses.delete(one, json={"ok": True})
    for verb in ("start", "stop", "restart"):
        responses.post(f"{one}/{verb}", json={"ok": True})
    responses.get(disk, json=volume())
    responses.delete(disk, json=volume())
    app = fly().of("towns-2")
    app.get_app()
    app.create_machine(MACHINE_SPEC)
    app.start_machine(MACHINE_ID)
    app.stop_machine(MACHINE_ID)
    app.restart_machine(MACHINE_ID, timeout_seconds=5)
    app.destroy_machine(MACHINE_ID, force=True)
    app.get_volume("vol_1")
    app.destroy_volume("vol_1")
    assert all(str(call.request.url).startswith(base) for call in responses.calls)


@responses.activate
def test_a_404_is_proof_once_this_very_app_has_answered() -> None:
    responses.get(f"{APPS}/towns-2/machines/{MACHINE_ID}", **ABSENT)
    responses.get(f"{APPS}/towns-3/machines/{MACHINE_ID}", **ABSENT)
    responses.get(f"{APPS}/towns-2", json={"name": "towns-2"})
    responses.get(f"{APPS}/towns-3", status=404, json={"error": "app not found"})
    apps = fly()
    with pytest.raises(NotFound):
        apps.of("towns-2").get_machine(MACHINE_ID)
    with pytest.raises(Misconfigured, match="towns-3"):
        apps.of("towns-3").get_machine(MACHINE_ID)


@responses.activate
def test_a_404_of_a_guessed_app_proves_nothing() -> None:
    responses.get(f"{APPS}/towns-1/machines/{MACHINE_ID}", **ABSENT)
    responses.get(f"{APPS}/towns-1", json={"name": "towns-1"})
    apps = fly()
    with pytest.raises(Rejected, match="never recorded") as caught:
        apps.of("").get_machine(MACHINE_ID)
    assert not isinstance(caught.value, NotFound)
    with pytest.raises(NotFound):
        apps.of("towns-1").get_machine(MACHINE_ID)


@responses.activate
def test_the_only_app_is_no_guess() -> None:
    responses.get(f"{APPS}/towns/machines/{MACHINE_ID}", **ABSENT)
    responses.get(f"{APPS}/towns", json={"name": "towns"})
    with pytest.raises(NotFound):
        fly("towns").of("").get_machine(MACHINE_ID)


def test_a_senseless_pattern_is_told_by_whoever_needs_it() -> None:
    with pytest.raises(Misconfigured, match=r"such as towns-\{1..8\}"):
        fly("towns-{8..1}").of("")
    with pytest.raises(Misconfigured, match="GASTOWN_FLY_APP_NAME is not set"):
        fly("").of("").list_machines()


@responses.activate
def test_each_app_has_its_own_budget_of_lists() -> None:
    for app in ("towns-1", "towns-2"):
        responses.get(f"{APPS}/{app}/volumes", json=[])
    apps = FlyAppsClient(FlyConfig(URL, TOKEN, "towns-{1..2}"), limiter=TokenBuckets(lambda: 0.0))
    for _ in range(3):
        apps.of("towns-1").list_volumes()
    with pytest.raises(RateLimited):
        apps.of("towns-1").list_volumes()
    apps.of("towns-2").list_volumes()


@responses.activate
def test_it_tells_of_which_app_a_call_was() -> None:
    heard = list[tuple[str, str, str]]()
    apps = FlyAppsClient(
        FlyConfig(URL, TOKEN, "towns-{1..2}"),
        limiter=NoLimit(),
        on_result=lambda app: lambda action, result: heard.append((app, action, result)),
    )
    responses.get(f"{APPS}/towns-2/volumes", json=[])
    apps.of("towns-2").list_volumes()
    assert heard == [("towns-2", "list_volumes", "ok")]


@responses.activate
def test_apps_share_their_connections() -> None:
    made = list[requests.Session]()

    def factory() -> requests.Session:
        made.append(new_session())
        return made[-1]

    config = FlyConfig(URL, TOKEN, "towns-{1..2}")
    apps = FlyAppsClient(config, limiter=NoLimit(), session_factory=factory)
    for app in ("towns-1", "towns-2"):
        responses.get(f"{APPS}/{app}/volumes", json=[])
        apps.of(app).list_volumes()
    assert len(made) == 1


@responses.activate
@pytest.mark.parametrize(("status", "answers"), [(200, True), (404, True), (503, False)])
def test_it_answers_for_all_apps_if_it_does_for_the_first(status: int, answers: bool) -> None:
    responses.get(f"{APPS}/towns-1", status=status, json={})
    assert fly().ping() is answers
