import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import requests
import responses

from towns.services.errors import (
    CapacityError,
    Conflict,
    Misconfigured,
    NotFound,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)
from towns.services.fly import FlyClient, FlyConfig

from .fly_answers import (
    APP,
    MACHINE,
    MACHINE_ID,
    MACHINE_SPEC,
    SECRET_ENV,
    TOKEN,
    URL,
    VOLUME,
    VOLUME_SPEC,
    client,
    machine,
)

EXISTS = "unique machine name violation, machine ID 3d8d9930 already exists with name gastown-t1"
FULL_HOST = "insufficient resources to create new machine with existing volume 'vol_1'"
NO_MEMORY = "could not reserve resource for machine: insufficient memory available"
TABLE: list[tuple[int, dict[str, str], type[ServiceError]]] = [
    (400, {"error": "invalid config"}, Rejected),
    (400, {"error": "volume not found"}, Rejected),
    (400, {"error": "no capacity"}, CapacityError),
    (401, {"error": "unauthenticated"}, Misconfigured),
    (403, {"error": "forbidden"}, Misconfigured),
    (403, {"error": "1970176 MB of memory in dfw which is over the allowed quota"}, Rejected),
    (408, {"error": "deadline_exceeded"}, Unavailable),
    (409, {"error": "lease currently held by somebody"}, Conflict),
    (409, {"error": EXISTS}, Conflict),
    (409, {"error": f"aborted: {NO_MEMORY}"}, CapacityError),
    (409, {"error": "aborted: Insufficient CPUs available"}, CapacityError),
    (412, {"error": "machine still active, refusing to destroy"}, Conflict),
    (412, {"error": "min_secrets_version not met"}, Conflict),
    (412, {"error": FULL_HOST}, CapacityError),
    (412, {"error": "sorry", "status": "insufficient_capacity"}, CapacityError),
    (422, {"error": "sorry", "status": "insufficient_capacity"}, CapacityError),
    (409, {"error": "sorry", "status": "volume_placement_capacity"}, CapacityError),
    (412, {"error": "sorry", "status": "unknown"}, Conflict),
    (422, {"error": "unprocessable"}, Rejected),
    (429, {"error": "rate limit exceeded"}, RateLimited),
    (301, {"error": "moved"}, Unavailable),
    (500, {"error": "internal"}, Unavailable),
    (503, {"error": "insufficient resources"}, Unavailable),
    (504, {"error": "time-out"}, Unavailable),
]


@pytest.mark.parametrize(("code", "body", "expected"), TABLE)
@responses.activate
def test_each_answer_is_its_error(
    code: int, body: dict[str, str], expected: type[ServiceError]
) -> None:
    responses.post(f"{APP}/machines", status=code, json=body)
    with pytest.raises(ServiceError) as caught:
        client().create_machine(MACHINE_SPEC)
    assert type(caught.value) is expected


@responses.activate
def test_a_full_region_at_volume_create() -> None:
    responses.post(f"{APP}/volumes", status=400, json={"error": "no capacity"})
    with pytest.raises(CapacityError):
        client().create_volume(VOLUME_SPEC)


@responses.activate
def test_a_taken_name_tells_who_has_it() -> None:
    responses.post(f"{APP}/machines", status=409, json={"error": EXISTS})
    with pytest.raises(Conflict) as caught:
        client().create_machine(MACHINE_SPEC)
    assert caught.value.existing_id == "3d8d9930"


@responses.activate
def test_a_lease_has_no_existing_machine() -> None:
    responses.post(f"{MACHINE}/stop", status=409, json={"error": "lease currently held"})
    with pytest.raises(Conflict) as caught:
        client().stop_machine(MACHINE_ID)
    assert caught.value.existing_id is None


def get_it(url: str) -> Any:
    return client().get_machine(MACHINE_ID) if url == MACHINE else client().get_volume("vol_1")


@pytest.mark.parametrize("url", [MACHINE, VOLUME])
@responses.activate
def test_a_404_is_absence_once_the_app_answers(url: str) -> None:
    responses.get(url, status=404, json={"error": "not found"})
    responses.get(APP, json={"name": "towns"})
    with pytest.raises(NotFound):
        get_it(url)
    assert [call.request.url for call in responses.calls] == [url, APP]


@pytest.mark.parametrize("url", [MACHINE, VOLUME])
@responses.activate
def test_a_404_of_an_unknown_app_is_our_mistake(url: str) -> None:
    responses.get(url, status=404, json={"error": "not found"})
    responses.get(APP, status=404, json={"error": "could not find app"})
    with pytest.raises(Misconfigured, match="GASTOWN_FLY_APP_NAME"):
        get_it(url)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": 500}, Unavailable),
        ({"status": 404, "body": "<html>"}, Unavailable),
        ({"status": 200, "body": "<html>"}, Unavailable),
        ({"status": 302}, Unavailable),
        ({"status": 400, "json": {"error": "?"}}, Unavailable),
        ({"status": 429, "json": {"error": "slow"}}, RateLimited),
        ({"status": 401, "json": {"error": "no"}}, Misconfigured),
        ({"body": requests.ConnectionError("reset")}, Unavailable),
    ],
)
@responses.activate
def test_a_404_without_word_of_the_app_proves_nothing(
    answer: dict[str, Any], expected: type[ServiceError]
) -> None:
    responses.get(MACHINE, status=404, json={"error": "not found"})
    responses.get(APP, **answer)
    with pytest.raises(ServiceError) as caught:
        client().get_machine(MACHINE_ID)
    assert type(caught.value) is expected


@pytest.mark.parametrize("body", ["<html>Not Found</html>", "", "[]", '{"message": "no"}'])
@responses.activate
def test_a_404_that_is_not_flys_proves_nothing(body: str) -> None:
    responses.get(MACHINE, status=404, body=body)
    responses.get(APP, json={})
    with pytest.raises(Unavailable):
        client().get_machine(MACHINE_ID)


@responses.activate
def test_many_404s_at_once_ask_for_the_app_once() -> None:
    responses.get(MACHINE, status=404, json={"error": "not found"})
    responses.get(VOLUME, status=404, json={"error": "not found"})
    responses.get(APP, json={})
    fly = client()
    with pytest.raises(NotFound):
        fly.get_machine(MACHINE_ID)
    with pytest.raises(NotFound):
        fly.get_volume("vol_1")
    assert [call.request.url for call in responses.calls] == [MACHINE, APP, VOLUME]


@responses.activate
def test_a_404_at_create_is_no_absence() -> None:
    responses.post(f"{APP}/machines", status=404, json={"error": "image not found"})
    responses.get(APP, json={})
    with pytest.raises(Rejected, match="image not found"):
        client().create_machine(MACHINE_SPEC)


@responses.activate
def test_a_404_of_the_list_names_the_app() -> None:
    responses.get(f"{APP}/machines", status=404, json={"error": "app not found"})
    responses.get(APP, status=404, json={"error": "app not found"})
    with pytest.raises(Misconfigured, match="GASTOWN_FLY_APP_NAME"):
        client().list_machines()


@responses.activate
def test_a_refused_token_is_named() -> None:
    responses.get(f"{APP}/machines", status=401, json={"error": "unauthenticated"})
    with pytest.raises(Misconfigured, match="GASTOWN_FLY_API_TOKEN"):
        client().list_machines()


@responses.activate
def test_an_exhausted_quota_says_what_to_do() -> None:
    responses.post(f"{APP}/machines", status=403, json={"error": "over the allowed quota"})
    with pytest.raises(Rejected, match="have Fly raise it"):
        client().create_machine(MACHINE_SPEC)


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", "null", '{"id": 1, "state": "x"}'])
@responses.activate
def test_an_unreadable_200_proves_nothing(body: str) -> None:
    responses.get(MACHINE, body=body)
    with pytest.raises(Unavailable):
        client().get_machine(MACHINE_ID)


@responses.activate
def test_an_unreadable_200_to_a_change_proves_nothing() -> None:
    responses.post(f"{MACHINE}/start", body="<html>login</html>")
    with pytest.raises(Unavailable):
        client().start_machine(MACHINE_ID)


@responses.activate
def test_redirects_are_not_followed() -> None:
    responses.get(MACHINE, status=302, headers={"Location": f"{APP}/elsewhere"})
    responses.get(f"{APP}/elsewhere", json=machine())
    with pytest.raises(Unavailable):
        client().get_machine(MACHINE_ID)
    assert len(responses.calls) == 1


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("soon", 1.0), ("", 1.0)])
@responses.activate
def test_retry_after_is_kept(header: str, seconds: float) -> None:
    headers = {"Retry-After": header}
    responses.post(f"{MACHINE}/start", status=429, json={"error": "slow"}, headers=headers)
    with pytest.raises(RateLimited) as caught:
        client().start_machine(MACHINE_ID)
    assert caught.value.retry_after == seconds


@responses.activate
def test_after_a_429_fly_is_left_alone_for_as_long_as_it_says() -> None:
    headers = {"Retry-After": "30"}
    responses.post(f"{MACHINE}/start", status=429, json={"error": "slow"}, headers=headers)
    responses.post(f"{MACHINE}/stop", json={})
    asking = FlyClient(FlyConfig(api_url=URL, token=TOKEN, app="towns"))
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            asking.start_machine(MACHINE_ID)
        assert caught.value.retry_after == pytest.approx(30, abs=1)
    assert len(responses.calls) == 1
    asking.stop_machine(MACHINE_ID, timeout_seconds=300)  # which is not what Fly refused


@responses.activate
def test_retry_after_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    headers = {"Retry-After": date}
    responses.post(f"{MACHINE}/start", status=429, json={"error": "slow"}, headers=headers)
    with pytest.raises(RateLimited) as caught:
        client().start_machine(MACHINE_ID)
    assert 50 < caught.value.retry_after <= 60


@responses.activate
def test_the_request_id_is_in_text_and_log(caplog: pytest.LogCaptureFixture) -> None:
    headers = {"fly-request-id": "01ABC-iad"}
    responses.post(f"{MACHINE}/start", status=500, json={"error": "x"}, headers=headers)
    with pytest.raises(Unavailable, match="01ABC-iad"):
        client().start_machine(MACHINE_ID)
    assert "01ABC-iad" in caplog.text


@responses.activate
def test_no_secret_is_ever_told(caplog: pytest.LogCaptureFixture) -> None:
    secret = SECRET_ENV["INTERNAL_API_KEY"]
    told = {"error": f"bad {TOKEN} and {secret}"}
    for answer in ({"status": 400, "json": told}, {"body": requests.ConnectionError("reset")}):
        responses.post(f"{APP}/machines", **answer)
    texts = [repr(MACHINE_SPEC), repr(client()._http._config)]
    for _ in range(2):
        with pytest.raises(ServiceError) as caught:
            client().create_machine(MACHINE_SPEC)
        texts += [str(caught.value), repr(caught.value), *traceback.format_exception(caught.value)]
    everything = "\n".join([*texts, caplog.text])
    assert TOKEN not in everything
    assert secret not in everything


def test_a_token_with_a_line_break_is_told_without_it() -> None:
    with pytest.raises(Misconfigured, match="GASTOWN_FLY_API_TOKEN") as caught:
        client(token=f"{TOKEN}\n").get_machine(MACHINE_ID)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
