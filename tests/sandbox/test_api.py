"""The internal API: the key, the answers, and nothing but JSON."""

import errno
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.agent import Agent
from sandbox.api import Server
from sandbox.gt import Gt
from sandbox.settings import R2Settings, Settings
from sandbox.state import BackupReport, RestoreReport, RestoreState

KEY = "the-key-of-the-town"


class Api:
    """A server in this process over an agent that does not live."""

    def __init__(self, settings: Settings) -> None:
        self.agent = Agent(settings, None, Gt(settings.gt_home, 5))
        self.agent.state.town_ready = True
        self.server = Server(self.agent)
        thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        thread.start()

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, object]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        headers = {"x-internal-api-key": KEY} if headers is None else headers
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        assert answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def settings(town: Path, tmux_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TMUX_TMPDIR", str(tmux_folder))
    r2 = R2Settings("http://127.0.0.1:1", "bucket", "gastown/town-1", "access", "secret")
    return Settings("town-1", town, KEY, r2=r2, host="127.0.0.1", port=0, dolt_port=1)


@pytest.fixture
def api(settings: Settings) -> Iterator[Api]:
    api = Api(settings)
    yield api
    api.close()


def test_it_works(api: Api) -> None:
    status, body = api.ask("GET", "/health")

    assert (status, body["town_id"]) == (200, "town-1")
    assert body["tmux"] == {"sessions": 0}
    assert body["polecats"] == {"active": 0, "total": 0}
    assert body["backup"] == {"last_success_at": None, "snapshot": None, "last_error": None}


def test_health_answers_fast(api: Api) -> None:
    api.ask("GET", "/health")
    began = time.monotonic()
    for _ in range(5):
        api.ask("GET", "/health")

    assert (time.monotonic() - began) / 5 < 0.3


@pytest.mark.parametrize("headers", [{}, {"x-internal-api-key": "wrong"}, {"authorization": KEY}])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/health"), ("POST", "/sync"), ("GET", "/other")]
)
def test_a_missing_and_a_wrong_key_are_refused_alike(
    api: Api, method: str, path: str, headers: dict[str, str]
) -> None:
    assert api.ask(method, path, headers) == (403, {"error": "Forbidden"})


def test_a_key_that_is_no_ascii_is_refused(api: Api) -> None:
    assert api.ask("GET", "/health", {"x-internal-api-key": "schlüssel"})[0] == 403


def test_an_unset_secret_is_an_error_of_ours(settings: Settings) -> None:
    api = Api(replace(settings, api_key=""))
    try:
        assert api.ask("GET", "/health", {"x-internal-api-key": ""})[0] == 500
        assert api.ask("GET", "/health", {})[0] == 500
    finally:
        api.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/healthz", 404),
        ("POST", "/health", 405),
        ("GET", "/sync", 405),
        ("DELETE", "/sync", 405),
        ("BREW", "/sync", 405),
    ],
)
def test_other_requests_get_json_errors(api: Api, method: str, path: str, status: int) -> None:
    answered, body = api.ask(method, path)

    assert answered == status
    assert isinstance(body["error"], str)


def test_a_query_is_ignored(api: Api) -> None:
    assert api.ask("GET", "/health?x=1")[0] == 200


def test_sync_is_accepted(api: Api) -> None:
    api.agent.state.backup = BackupReport(snapshot="20260217T120100Z")

    status, body = api.ask("POST", "/sync", body=b"{}")

    assert (status, body["previous"]) == (202, "20260217T120100Z")
    assert str(body["accepted_at"]).endswith("Z")


@pytest.mark.parametrize("state", [RestoreState.RUNNING, RestoreState.FAILED])
def test_no_sync_while_a_restore_has_not_succeeded(api: Api, state: RestoreState) -> None:
    api.agent.state.restore = RestoreReport(state)

    assert api.ask("POST", "/sync") == (409, {"error": "restoring"})


def test_no_sync_before_the_town_is_there_or_while_it_drains(api: Api) -> None:
    api.agent.state.town_ready = False
    assert api.ask("POST", "/sync") == (503, {"error": "starting"})

    api.agent.stop()
    assert api.ask("POST", "/sync") == (503, {"error": "draining"})
    assert api.ask("GET", "/health")[1]["draining"] is True


def test_no_sync_without_r2(settings: Settings) -> None:
    api = Api(replace(settings, r2=None, r2_problem="R2 is not configured: set R2_BUCKET"))
    try:
        answer = api.ask("POST", "/sync")
        assert answer == (503, {"error": "R2 is not configured: set R2_BUCKET"})
    finally:
        api.close()


def test_it_listens_on_all_addresses_by_default(settings: Settings) -> None:
    api = Api(replace(settings, host=""))
    try:
        assert api.ask("GET", "/health")[0] == 200
    finally:
        api.close()


def test_a_host_without_ipv6_is_served_by_ipv4(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Server.server_bind

    def no_ipv6(self: Server) -> None:
        if self.address_family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "switched off")
        real(self)

    monkeypatch.setattr(Server, "server_bind", no_ipv6)
    api = Api(replace(settings, host=""))
    try:
        assert api.ask("GET", "/health")[0] == 200
    finally:
        api.close()
