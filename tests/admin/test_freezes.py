"""The red button in the admin."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from tests.admin.conftest import page
from tests.factories import NOW
from towns import automation
from towns.history import Actor
from towns.models import Freeze

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/freeze/"


def test_it_works(admin: Client) -> None:
    assert "Nothing is frozen: automation acts." in page(admin, LIST)
    form = {"scope": "all", "reason": "window", "minutes": 5}
    assert admin.post(f"{LIST}freeze/", form).headers["Location"] == LIST
    freeze = Freeze.objects.get()
    assert (freeze.actor, freeze.until) == ("root", freeze.since + timedelta(minutes=5))
    assert automation.frozen(freeze.since) == "Automation is frozen by root: window"
    assert "<b>Frozen: all</b>, by root since" in page(admin, LIST)
    admin.post(f"{LIST}thaw/", {"scope": "all"})
    assert Freeze.objects.get().thawed_by == "root"
    assert "Nothing is frozen" in page(admin, LIST)


def test_thawing_is_asked_once_more(admin: Client) -> None:
    automation.freeze("recovery", reason="window", actor=Actor("ann"), now=NOW)
    text = page(admin, f"{LIST}thaw/?scope=recovery")
    assert "Thaw: recovery" in text
    assert Freeze.objects.get().thawed_at is None


@pytest.mark.parametrize(
    "form",
    [
        {"scope": "all", "reason": ""},
        {"scope": "towns", "reason": "x"},
        {"scope": "all", "reason": "x", "minutes": "0"},
        {"scope": "all", "reason": "x", "minutes": str(31 * 24 * 60)},
    ],
)
def test_a_senseless_freeze_is_asked_for_again(admin: Client, form: dict[str, str]) -> None:
    answer = admin.post(f"{LIST}freeze/", form)
    assert (answer.status_code, "errorlist" in answer.content.decode()) == (200, True)
    assert not Freeze.objects.exists()


def test_thawing_what_is_no_scope_does_nothing(admin: Client) -> None:
    automation.freeze("all", reason="window", actor=Actor("ann"), now=NOW)
    admin.post(f"{LIST}thaw/", {"scope": ""})
    assert Freeze.objects.get().thawed_at is None


@pytest.mark.parametrize("path", ["freeze/", "thaw/"])
def test_it_needs_its_permission(staff: Callable[..., Client], path: str) -> None:
    form = {"scope": "all", "reason": "x"}
    without = staff("view_freeze", "view_town")
    assert without.get(LIST + path).status_code == 403
    assert without.post(LIST + path, form).status_code == 403
    assert "Freeze automation" not in page(without, LIST)
    assert not Freeze.objects.exists()
    allowed = staff("view_freeze", "freeze_automation")
    assert "Freeze automation" in page(allowed, LIST)
    assert allowed.post(LIST + path, form).status_code == 302
