"""Every address is asked by everybody, and answers as the table says."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from tests.access.addresses import all_patterns
from tests.access.people import ROLES, Scene, make_scene
from tests.access.table import ACTIONS, API, MODELS, PAGES, STAFF, Row
from towns.api.application import api, sandbox_api

pytestmark = pytest.mark.django_db
AFTER = ("", "add/", "<path:object_id>/history/", "<path:object_id>/delete/")
CHANGE, OLD = "<path:object_id>/change/", "<path:object_id>/"
SIGN_IN = "302"


@pytest.fixture
def scene() -> Scene:
    return make_scene()


def ask(scene: Scene, role: str, method: str, path: str, body: Any = None) -> str:
    """The answer to somebody; what they did is undone."""
    given: dict[str, Any] = {} if body is None else {"data": body}
    if body is not None and path.startswith("/api/"):
        given["content_type"] = "application/json"
    point = transaction.savepoint()
    try:
        return str(getattr(scene.clients[role], method)(path, **given).status_code)
    finally:
        transaction.savepoint_rollback(point)


def answers(scene: Scene, method: str, path: str, body: Any = None) -> str:
    return " ".join(ask(scene, role, method, path, body) for role in ROLES)


def wrong(scene: Scene, rows: list[Row]) -> list[Row]:
    """The rows that answer otherwise."""
    found = []
    for method, pattern, body, expected in rows:
        told = answers(scene, method, scene.path(pattern), body)
        if told != expected:
            found.append((method, pattern, body, f"{told}, not {expected}"))
    return found


def staffed(expected: str) -> str:
    """The answers to all, where only staff are let in."""
    return " ".join([SIGN_IN, SIGN_IN, SIGN_IN, expected, SIGN_IN])


def admin_rows(model: str) -> Iterator[Row]:
    """The five pages of a model, and the short address that Django keeps."""
    *four, change = MODELS[model]
    for after, expected in zip(AFTER, four, strict=True):
        yield "get", f"admin/{model}/{after}", None, staffed(expected)
    yield "get", f"admin/{model}/{CHANGE}", None, staffed(change)
    yield "get", f"admin/{model}/{OLD}", None, staffed("302 302 302")


def test_pages(scene: Scene) -> None:
    told = wrong(scene, PAGES)
    assert not told, "\n".join(map(str, told))


def test_api(scene: Scene) -> None:
    told = wrong(scene, API)
    assert not told, "\n".join(map(str, told))


def test_the_admin_s_own_pages(scene: Scene) -> None:
    rows: list[Row] = [("get", f"admin/{path}", None, staffed(STAFF[path])) for path in STAFF]
    told = wrong(scene, rows)
    assert not told, "\n".join(map(str, told))


@pytest.mark.parametrize("app", ["django_q", "auth", "axes", "towns"])
def test_the_admin_s_models(scene: Scene, app: str) -> None:
    rows = [row for model in MODELS if model.startswith(f"{app}/") for row in admin_rows(model)]
    assert rows
    told = wrong(scene, rows)
    assert not told, "\n".join(map(str, told))


def test_actions_on_towns(scene: Scene) -> None:
    town = scene.values["town_id"]
    told = {
        name: answers(scene, "get", f"/admin/towns/town/act/{name}/?towns={town}")
        for name in ACTIONS
    }
    assert told == {name: staffed(expected) for name, expected in ACTIONS.items()}


def test_who_may_not_is_refused_when_they_confirm_too(scene: Scene) -> None:
    form = {"towns": str(scene.values["town_id"]), "confirmed": "yes", "confirm": "mill"}
    for name in ACTIONS:
        told = ask(scene, "viewer", "post", f"/admin/towns/town/act/{name}/", form)
        assert told == "403", name
    told = ask(scene, "operator", "post", "/admin/towns/town/act/destroy/", form)
    assert told == "403"


def test_no_address_is_left_out() -> None:
    asked = {pattern for _, pattern, _, _ in [*PAGES, *API]}
    asked |= {f"admin/{path}" for path in STAFF}
    asked |= {row[1] for model in MODELS for row in admin_rows(model)}
    asked |= {"admin/login/"}  # everybody may try
    left = {pattern for pattern in all_patterns() if "(?P" not in pattern} - asked
    assert left == set()


def test_no_method_of_the_api_is_left_out() -> None:
    asked = {(method, re.sub("<.*?>", "{}", f"/{pattern}")) for method, pattern, _, _ in API}
    offered = {
        (method, re.sub("{.*?}", "{}", path))
        for one in (api, sandbox_api)
        for path, methods in one.get_openapi_schema()["paths"].items()
        for method in methods
    }
    assert len(offered) > 30
    assert offered - asked == set()
