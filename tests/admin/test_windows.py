"""Maintenance windows in the admin."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.admin.conftest import page
from tests.factories import make_town
from towns import automation
from towns.history import Actor
from towns.models import MaintenanceWindow

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/maintenancewindow/"


def form(**fields: str) -> dict[str, str]:
    begin = timezone.now() + timedelta(hours=1)
    end = begin + timedelta(hours=1)
    values = {
        "scope": "region:ams",
        "reason": "new hosts",
        "since_0": f"{begin:%Y-%m-%d}",
        "since_1": f"{begin:%H:%M:%S}",
        "until_0": f"{end:%Y-%m-%d}",
        "until_1": f"{end:%H:%M:%S}",
    }
    return {**values, **fields}


def plan() -> MaintenanceWindow:
    now = timezone.now()
    return automation.plan_window(
        "fleet",
        since=now,
        until=now + timedelta(hours=1),
        reason="new hosts",
        actor=Actor("ann"),
        now=now,
    )


def test_it_works(admin: Client) -> None:
    answer = admin.post(f"{LIST}add/", form())
    assert answer.status_code == 302, answer.content.decode()[:2000]
    window = MaintenanceWindow.objects.get()
    assert (window.scope, window.reason, window.actor) == ("region:ams", "new hosts", "root")
    assert "to come" in page(admin, LIST)
    assert "new hosts" in page(admin, f"{LIST}{window.pk}/change/")


def test_a_town_is_named_as_people_do(admin: Client) -> None:
    town = make_town()
    admin.post(f"{LIST}add/", form(scope=f"town:{town}"))
    assert MaintenanceWindow.objects.get().scope == f"town:{town.pk}"


@pytest.mark.parametrize(
    "wrong",
    [{"scope": "towns"}, {"scope": "town:nobody"}, {"until_0": "2001-01-01"}, {"reason": ""}],
)
def test_a_senseless_window_is_asked_for_again(admin: Client, wrong: dict[str, str]) -> None:
    answer = admin.post(f"{LIST}add/", form(**wrong))
    assert (answer.status_code, "errorlist" in answer.content.decode()) == (200, True)
    assert not MaintenanceWindow.objects.exists()


def test_it_is_ended_before_its_time(admin: Client) -> None:
    window = plan()
    assert "stands" in page(admin, LIST)
    admin.post(LIST, {"action": "end", "_selected_action": [window.pk]})
    window.refresh_from_db()
    assert window.ended_by == "root"
    assert "ended by root" in page(admin, LIST)


def test_it_needs_the_permission_to_freeze(staff: Callable[..., Client]) -> None:
    window = plan()
    viewer = staff("view_maintenancewindow", "add_maintenancewindow", "change_maintenancewindow")
    assert viewer.post(f"{LIST}add/", form()).status_code == 403
    viewer.post(LIST, {"action": "end", "_selected_action": [window.pk]})
    window.refresh_from_db()
    assert window.ended_at is None
    assert MaintenanceWindow.objects.count() == 1
