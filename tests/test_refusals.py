"""Whatever is refused says why and what to do, in our own page, also without a database."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client, override_settings

from tests.factories import make_town, make_user

pytestmark = pytest.mark.django_db
BAD_HOST = {"Host": "elsewhere.example.com"}


def told(answer: Any) -> str:
    """The words of a page of ours."""
    text = answer.content.decode()
    assert "towns/dashboard.css" in text, f"not our page: {text[:200]}"
    content = re.sub(r"<[^>]+>", " ", text[text.index("<main") : text.index("</main>")])
    return " ".join(content.split())


@contextmanager
def no_database() -> Iterator[None]:
    """Nothing answers there."""

    def fail(*_: Any) -> None:
        raise OperationalError("connection refused")

    with patch.object(BaseDatabaseWrapper, "cursor", fail):
        yield


def signed_in(username: str = "", group: str = "", **given: Any) -> Client:
    user = make_user(username, is_staff=bool(group))
    if group:
        user.groups.add(Group.objects.get(name=group))
    client = Client(raise_request_exception=False, **given)
    client.force_login(user)
    return client


def test_what_a_viewer_may_not_do() -> None:
    client, town = signed_in("vera", "Viewer"), make_town()
    answer = client.get(f"/admin/towns/town/act/stop/?towns={town.pk}")
    assert answer.status_code == 403
    text = told(answer)
    assert "It lacks the permission to stop towns." in text
    assert "Ask an administrator for it" in text
    assert "vera" in answer.content.decode(), "who is signed in can sign out there"
    for path in (
        "/admin/towns/town/add/",
        "/admin/towns/freeze/freeze/",
        "/admin/towns/orphan/confirm/",
        "/admin/auth/user/",
    ):
        answer = client.get(path)
        assert answer.status_code == 403, path
        assert "It lacks the permission" in told(answer), path


def test_where_nothing_is() -> None:
    staff, owner = signed_in(group="Admin"), signed_in()
    for client, path, why in (
        (owner, "/nowhere", "There is nothing at this address"),
        (owner, f"/dashboard/towns/{make_town().pk}/", "You have no such town."),
        (owner, f"/dashboard/towns/{uuid4()}/", "You have no such town."),
        (staff, "/admin/nowhere/", "There is nothing at this address"),
        (staff, "/admin/towns/town/act/explode/", "There is no action “explode”."),
        (staff, "/admin/towns/bulkrun/0/result.csv", "There is nothing at this address"),
    ):
        answer = client.get(path)
        assert answer.status_code == 404, path
        text = told(answer)
        assert why in text, (path, text)
        assert "Look for it from the front page." in text


def test_in_the_wrong_way() -> None:
    client, town = signed_in(), make_town()
    for path, method in (
        ("/accounts/logout/", "get"),
        (f"/dashboard/towns/{town.pk}/stop", "get"),
        ("/dashboard/", "post"),
        ("/live/events", "post"),
    ):
        answer = getattr(client, method)(path)
        assert answer.status_code == 405, path
        assert answer["Allow"], "it says how"
        text = told(answer)
        assert f"takes no {method.upper()}, only {answer['Allow']}." in text
        assert "use that" in text


def test_a_form_that_is_not_ours() -> None:
    client = signed_in(enforce_csrf_checks=True)
    answer = client.post("/dashboard/towns/new", {"name": "new"})
    assert answer.status_code == 403
    assert "Allow cookies" in told(answer)
    client.cookies["csrftoken"] = "x" * 32
    answer = client.post("/dashboard/towns/new", {"name": "new"})
    assert "It is too old" in told(answer)
    assert "load the page anew" in told(answer)


def test_what_can_not_be_understood() -> None:
    client = signed_in(group="Admin")
    answer = client.get("/admin/towns/town/?owner__password__startswith=x")
    assert answer.status_code == 400
    assert "choose again there" in told(answer)
    answer = client.get("/dashboard/", headers=BAD_HOST)
    assert answer.status_code == 400
    assert "ALLOWED_HOSTS" in told(answer)


@pytest.mark.parametrize(
    "path", ["/admin/towns/town/", "/admin/towns/freeze/", "/admin/auth/user/"]
)
def test_a_filter_that_makes_no_sense(path: str) -> None:
    client = signed_in(group="Admin")
    for query in ("id__exact=nonsense", "e=1&id__exact=nonsense"):
        answer = client.get(f"{path}?{query}", follow=True)
        assert answer.redirect_chain == [(f"{path}?e=1", 302)], query
        assert "The filter in that address makes no sense" in answer.content.decode()


def test_an_error_of_ours() -> None:
    client = signed_in()
    with patch("towns.dashboard.views.own_towns", side_effect=ZeroDivisionError):
        answer = client.get("/dashboard/")
    assert answer.status_code == 500
    text = told(answer)
    assert "It is in our log" in text
    assert "tell an administrator the number of the request" in text
    assert text.endswith(f"Request {answer['X-Request-ID']}")


def test_without_a_database() -> None:
    client = signed_in(group="Admin")
    with no_database():
        for path in ("/dashboard/", "/admin/", "/admin/towns/town/", "/admin/login/", "/"):
            answer = client.get(path)
            assert answer.status_code == 503, path
            assert answer["Retry-After"] == "30"
            assert "Try again in a minute." in told(answer)
        answer = client.get("/api/v1/towns")
        assert answer.status_code == 503
        assert answer["Retry-After"] == "30"
        assert answer["Content-Type"] == "application/problem+json"
        assert json.loads(answer.content)["detail"].startswith("The database does not answer")
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200


@override_settings(DEBUG=False)
def test_an_empty_answer_stays_empty_where_nothing_is_refused() -> None:
    assert Client().get("/live/events").content == b""
