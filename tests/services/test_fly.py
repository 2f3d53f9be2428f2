import json
from datetime import UTC, datetime

import pytest
import requests
import responses

from towns.services.errors import Misconfigured, RateLimited, Unavailable
from towns.services.fly import FlyClient, FlyConfig, MachineExit

from .fly_answers import (
    APP,
    MACHINE,
    MACHINE_ID,
    MACHINE_SPEC,
    TOKEN,
    VOLUME,
    VOLUME_SPEC,
    Nothing,
    client,
    machine,
    volume,
)


@responses.activate
def test_it_works() -> None:
    responses.get(MACHINE, json=machine())
    found = client().get_machine(MACHINE_ID)
    assert (found.id, found.name, found.state, found.region) == (
        MACHINE_ID,
        "gastown-t1",
        "started",
        "iad",
    )
    assert found.metadata == {"gastown_town_id": "t1"}
    assert found.volume_ids == ("vol_1",)
    assert found.image == "registry.test/town:1"
    assert found.created_at == datetime(2026, 2, 17, 11, 0, 0, 123456, tzinfo=UTC)


@responses.activate
def test_it_sends_token_and_user_agent() -> None:
    responses.get(MACHINE, json=machine())
    client().get_machine(MACHINE_ID)
    headers = responses.calls[0].request.headers
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["User-Agent"].startswith("gastown-ops/")


@responses.activate
def test_every_call_has_time_outs() -> None:
    responses.get(MACHINE, json=machine())
    client().get_machine(MACHINE_ID)
    sent = responses.calls[0].request
    assert sent.req_kwargs["timeout"] == (3.05, 15.0)  # type: ignore[attr-defined]  # responses adds it


@responses.activate
def test_it_reads_the_newest_start_and_how_it_last_ended() -> None:
    responses.get(MACHINE, json=machine())
    found = client().get_machine(MACHINE_ID)
    assert found.last_start_at == datetime(2026, 2, 17, 12, 1, 40, 500_000, tzinfo=UTC)
    at = datetime(2026, 2, 17, 12, 0, tzinfo=UTC)
    assert found.last_exit == MachineExit(137, oom_killed=True, requested_stop=False, at=at)


@responses.activate
def test_an_error_before_the_last_start_is_history() -> None:
    failed = {"type": "launch", "timestamp": 2000, "error": "no image"}
    started = {"type": "start", "status": "started", "timestamp": 3000}
    responses.get(MACHINE, json=machine(events=[failed, started]))
    assert client().get_machine(MACHINE_ID).event_error is None
    responses.replace(responses.GET, MACHINE, json=machine(events=[failed]))
    assert client().get_machine(MACHINE_ID).event_error == "no image"


@responses.activate
def test_it_reads_the_incomplete_config_of_a_lost_host() -> None:
    config = machine()["config"]
    lost = machine(config=None, incomplete_config=config, host_status="unreachable")
    responses.get(MACHINE, json=lost)
    found = client().get_machine(MACHINE_ID)
    assert found.host_status == "unreachable"
    assert found.volume_ids == ("vol_1",)


@responses.activate
def test_a_destroyed_machine_is_returned_as_such() -> None:
    responses.get(MACHINE, json=machine(state="destroyed"))
    assert client().get_machine(MACHINE_ID).state == "destroyed"


@responses.activate
def test_it_filters_by_metadata_even_if_fly_does_not() -> None:
    other = machine(id="other", config={"metadata": {"gastown_town_id": "t2"}})
    responses.get(f"{APP}/machines", json=[machine(), other])
    found = client().list_machines(metadata={"gastown_town_id": "t1"})
    assert [item.id for item in found] == [MACHINE_ID]
    assert "metadata.gastown_town_id=t1" in str(responses.calls[0].request.url)


@responses.activate
def test_a_list_with_an_unreadable_entry_is_no_list() -> None:
    responses.get(f"{APP}/machines", json=[machine(), {"name": "no id"}])
    with pytest.raises(Unavailable):
        client().list_machines()


@responses.activate
def test_create_sends_the_whole_machine() -> None:
    responses.post(f"{APP}/machines", json=machine())
    assert client().create_machine(MACHINE_SPEC).id == MACHINE_ID
    sent = json.loads(responses.calls[0].request.body or "")
    config = sent["config"]
    assert (sent["name"], sent["region"]) == ("gastown-t1", "iad")
    assert config["mounts"] == [{"volume": "vol_1", "path": "/data"}]
    assert config["stop_config"] == {"signal": "SIGTERM", "timeout": "300s"}
    assert config["guest"] == {"cpu_kind": "shared", "cpus": 4, "memory_mb": 8192}
    assert config["services"][0]["internal_port"] == 8080
    assert config["services"][0]["autostart"] is False
    assert config["env"]["TOWN_ID"] == "t1"


@responses.activate
def test_stop_sends_signal_and_time_out() -> None:
    responses.post(f"{MACHINE}/stop", json={"ok": True})
    client().stop_machine(MACHINE_ID, timeout_seconds=120)
    body = json.loads(responses.calls[0].request.body or "")
    assert body == {"signal": "SIGTERM", "timeout": "120s"}


@responses.activate
def test_start_restart_and_destroy_are_sent() -> None:
    responses.post(f"{MACHINE}/start", json={"previous_state": "stopped"})
    responses.post(f"{MACHINE}/restart", json={"ok": True})
    responses.delete(MACHINE, json={"ok": True})
    fly = client()
    fly.start_machine(MACHINE_ID)
    fly.restart_machine(MACHINE_ID, timeout_seconds=60)
    fly.destroy_machine(MACHINE_ID, force=True)
    fly.destroy_machine(MACHINE_ID, force=False)
    urls = [str(call.request.url).partition("machines/")[2] for call in responses.calls]
    assert urls == [
        f"{MACHINE_ID}/start",
        f"{MACHINE_ID}/restart?timeout=60s&signal=SIGTERM",
        f"{MACHINE_ID}?force=true",
        MACHINE_ID,
    ]


@responses.activate
def test_volumes_work() -> None:
    responses.get(VOLUME, json=volume())
    responses.get(f"{APP}/volumes", json=[volume(), volume(state="pending_destroy")])
    responses.post(f"{APP}/volumes", json=volume(attached_machine_id=None))
    responses.delete(VOLUME, json=volume())
    fly = client()
    assert fly.get_volume("vol_1").attached_machine_id == MACHINE_ID
    assert [item.going_away for item in fly.list_volumes()] == [False, True]
    assert fly.create_volume(VOLUME_SPEC).attached_machine_id is None
    fly.destroy_volume("vol_1")
    sent = json.loads(responses.calls[2].request.body or "")
    assert sent["compute"] == {"cpu_kind": "shared", "cpus": 4, "memory_mb": 8192}


@responses.activate
def test_a_get_is_repeated_once_after_a_5xx() -> None:
    responses.get(MACHINE, status=503)
    responses.get(MACHINE, json=machine())
    assert client().get_machine(MACHINE_ID).state == "started"


@responses.activate
def test_a_get_is_repeated_once_after_a_reset() -> None:
    responses.get(MACHINE, body=requests.ConnectionError("reset"))
    responses.get(MACHINE, json=machine())
    assert client().get_machine(MACHINE_ID).state == "started"


@responses.activate
def test_a_get_is_not_repeated_twice() -> None:
    responses.get(MACHINE, status=502)
    with pytest.raises(Unavailable):
        client().get_machine(MACHINE_ID)
    assert len(responses.calls) == 2


@pytest.mark.parametrize("fault", [requests.ReadTimeout("slow"), requests.ConnectTimeout("slow")])
@responses.activate
def test_a_get_is_not_repeated_after_a_time_out(fault: Exception) -> None:
    responses.get(MACHINE, body=fault)
    with pytest.raises(Unavailable):
        client().get_machine(MACHINE_ID)
    assert len(responses.calls) == 1


@pytest.mark.parametrize("fault", [503, requests.ConnectionError("reset")])
@responses.activate
def test_a_change_is_never_repeated(fault: int | Exception) -> None:
    how = {"status": fault} if isinstance(fault, int) else {"body": fault}
    responses.post(f"{APP}/machines", **how)
    responses.delete(MACHINE, **how)
    with pytest.raises(Unavailable):
        client().create_machine(MACHINE_SPEC)
    with pytest.raises(Unavailable):
        client().destroy_machine(MACHINE_ID, force=True)
    assert len(responses.calls) == 2


@responses.activate
def test_an_empty_bucket_asks_nothing_of_fly() -> None:
    config = FlyConfig("https://fly.test/v1", TOKEN, "towns")
    with pytest.raises(RateLimited) as caught:
        FlyClient(config, limiter=Nothing()).start_machine(MACHINE_ID)
    assert caught.value.retry_after == 2.5
    assert len(responses.calls) == 0


@pytest.mark.parametrize(
    ("field", "setting"),
    [
        ("token", "GASTOWN_FLY_API_TOKEN"),
        ("app", "GASTOWN_FLY_APP_NAME"),
        ("api_url", "GASTOWN_FLY_API_URL"),
    ],
)
@responses.activate
def test_an_unset_setting_is_named(field: str, setting: str) -> None:
    with pytest.raises(Misconfigured, match=setting):
        client(**{field: ""}).list_machines()
    assert len(responses.calls) == 0


@pytest.mark.parametrize("machine_id", ["", "..", "a/b", "a?force=true"])
def test_it_refuses_what_is_no_id(machine_id: str) -> None:
    with pytest.raises(ValueError, match="not the id"):
        client().destroy_machine(machine_id, force=True)


@pytest.mark.parametrize(
    ("status", "answers"), [(200, True), (401, True), (429, True), (500, False)]
)
@responses.activate
def test_ping_tells_whether_fly_answers(status: int, answers: bool) -> None:
    responses.get(APP, status=status)
    assert client().ping() is answers


@responses.activate
def test_ping_survives_a_lost_connection() -> None:
    responses.get(APP, body=requests.ConnectionError("reset"))
    assert client().ping() is False


def test_it_takes_no_proxy_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with responses.RequestsMock() as mock:
        mock.get(MACHINE, json=machine())
        client().get_machine(MACHINE_ID)
        assert not mock.calls[0].request.req_kwargs["proxies"]  # type: ignore[attr-defined]  # responses adds it
