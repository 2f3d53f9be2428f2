"""Each request has an id and one line in the log."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.http import JsonResponse
from django.test import AsyncClient, Client
from django.utils import timezone

from tests.factories import make_town, make_user
from tests.live.running import run
from towns.history import Actor
from towns.logs import AddIds
from towns.scopes import Scope
from towns.tokens import create_token

pytestmark = pytest.mark.django_db
ID = "edge-7f3a.1"
ALL = tuple(scope.value for scope in Scope)
Logged = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """The records of a logger, with the ids that the log has."""
    caplog.set_level("DEBUG", "towns")
    caplog.handler.addFilter(AddIds())
    return lambda name: [vars(one) for one in caplog.records if one.name == name]


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """`/healthz` logs something of its own."""

    def note(*given: Any) -> Any:
        logging.getLogger("towns.test").info("at work")
        return JsonResponse(*given)

    monkeypatch.setattr("towns.probes.JsonResponse", note)


@pytest.mark.usefixtures("talkative")
def test_an_id_that_came_is_in_every_record_and_in_the_answer(
    client: Client, logged: Logged
) -> None:
    answer = client.get("/healthz", headers={"X-Request-ID": ID})
    assert answer["X-Request-ID"] == ID
    [work], [told] = logged("towns.test"), logged("towns.request_log")
    assert work["request_id"] == told["request_id"] == ID


@pytest.mark.usefixtures("talkative")
def test_under_asgi_each_of_many_requests_keeps_its_own(logged: Logged) -> None:
    ids = [uuid4().hex for _ in range(10)]

    async def ask(request_id: str) -> str:
        # A page, and a view that is asynchronous.
        client, headers = AsyncClient(), {"X-Request-ID": request_id}
        refused = await client.get("/live/events", headers=headers)
        assert refused["X-Request-ID"] == request_id
        answer = await client.get("/healthz", headers=headers)
        return str(answer["X-Request-ID"])

    async def story() -> list[str]:
        return list(await asyncio.gather(*map(ask, ids)))

    assert run(story()) == ids
    assert sorted(one["request_id"] for one in logged("towns.test")) == sorted(ids)
    told = [(one["path"], one["request_id"]) for one in logged("towns.request_log")]
    assert sorted(told) == sorted((p, i) for i in ids for p in ("/live/events", "/healthz"))


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", "idé"])
def test_no_id_or_an_odd_one_is_replaced(client: Client, given: str) -> None:
    first, second = (
        client.get("/healthz", headers={"X-Request-ID": given})["X-Request-ID"] for _ in "12"
    )
    assert first != second
    assert {len(first), len(second)} == {32}


def test_the_line_says_what_came_of_it(client: Client, logged: Logged) -> None:
    client.force_login(user := make_user(is_staff=True))
    client.get("/dashboard/", {"token": "secret"})
    [told] = logged("towns.request_log")
    named = ("method", "path", "status", "user_id", "levelname")
    assert [told[name] for name in named] == ["GET", "/dashboard/", 200, user.pk, "INFO"]
    assert told["ms"] >= 0
    assert "secret" not in str(told)


def test_nobody_is_looked_up_to_be_told(client: Client, logged: Logged) -> None:
    client.force_login(make_user())
    client.get("/healthz")
    [told] = logged("towns.request_log")
    assert "user_id" not in told
    assert told["levelname"] == "DEBUG", "asked every few seconds"


def test_a_line_break_in_a_path_makes_no_second_line(client: Client, logged: Logged) -> None:
    client.get("/no%0Asuch/%ff")
    [told] = logged("towns.request_log")
    assert told["path"] == "/no%0Asuch/%25FF"


def test_what_is_logged_of_a_town_s_request_names_it(client: Client, logged: Logged) -> None:
    town = make_town(owner=make_user("alice"))
    client.force_login(town.owner)
    client.get(f"/api/v1/towns/{town.pk}")
    client.get(f"/dashboard/towns/{town.pk}/")
    client.get("/dashboard/")
    told = logged("towns.request_log")
    assert [one.get("town") for one in told] == [str(town.pk), str(town.pk), None]
    assert [(one["status"], one["user_id"]) for one in told] == 3 * [(200, town.owner_id)]


def test_a_token_s_request_names_whom_it_acts_for(client: Client, logged: Logged) -> None:
    owner = make_user("alice")
    made = create_token("gateway", ALL, actor=Actor.shell(), now=timezone.now())
    headers = {"Authorization": f"Bearer {made.secret}", "X-Gastown-User": "alice"}
    client.get("/api/v1/towns", headers=headers)
    [told] = logged("towns.request_log")
    assert (told["status"], told["user_id"]) == (200, owner.pk)


def crashed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The answer to a request at which something breaks."""

    def breaks(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr("towns.api.fleet.read_fleet", breaks)
    client = Client(raise_request_exception=False)
    client.force_login(make_user(is_staff=True, permissions=("view_town",)))
    return client.get("/api/v1/fleet", headers={"X-Request-ID": ID})


def test_a_crash_tells_the_id_that_its_traceback_is_logged_with(
    monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    answer = crashed(monkeypatch)
    assert answer.status_code == 500
    assert answer.json()["request_id"] == answer["X-Request-ID"] == ID
    [error] = [one for one in logged("django.request") if one["exc_info"]]
    assert error["request_id"] == ID
    [told] = logged("towns.request_log")
    assert told["status"] == 500


def test_what_django_says_of_a_refusal_has_the_id_too(client: Client, logged: Logged) -> None:
    """It says so when all middleware is done."""
    answer = client.get("/no/such/page", headers={"X-Request-ID": ID})
    assert answer.status_code == 404
    assert [one["request_id"] for one in logged("django.request")] == [ID]


def test_it_is_the_outermost() -> None:
    assert settings.MIDDLEWARE[0] == "towns.request_log.RequestLogMiddleware"
