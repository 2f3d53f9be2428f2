"""Operations, events, checks, alerts, backups, sweeps and freezes in the admin."""

from typing import Any

import pytest
from django.test import Client

from tests.factories import NOW, make_operation, make_town
from towns import alerts, automation, history
from towns.history import Actor
from towns.models import Backup, Freeze, HealthCheck, LifecycleEvent, Sweep
from towns.models.history import ImmutableError
from towns.words import OperationKind

pytestmark = pytest.mark.django_db


@pytest.fixture
def everything() -> dict[str, Any]:
    """A row of each kind, by the model's name in addresses."""
    town = make_town()
    operation = make_operation(town, OperationKind.STOP, step="await_stopped")
    operation.log = [{"step": "stop_machine", "at": NOW.isoformat(), "note": "asked Fly"}]
    operation.save()
    return {
        "operation": operation,
        "lifecycleevent": history.record(
            town, "changed", actor=Actor("ann"), now=NOW, reason="a reason"
        ),
        "healthcheck": HealthCheck.objects.create(
            town=town, checked_at=NOW, result="failed", kind="timeout", reason="no answer"
        ),
        "alert": alerts.open_alert(
            cause="stop_failed", town=town, severity="warning", message="it failed", now=NOW
        ),
        "backup": Backup.objects.create(town=town, snapshot="20260217T120000Z", created_at=NOW),
        "sweep": Sweep.objects.create(kind="health", slot=NOW, started_at=NOW),
    }


MODELS = ("operation", "lifecycleevent", "healthcheck", "alert", "backup", "sweep")
SHOWN = {
    "operation": "stop machine",
    "lifecycleevent": "a reason",
    "healthcheck": "no answer",
    "alert": "it failed",
    "backup": "20260217T120000Z",
    "sweep": "health",
}


@pytest.mark.parametrize("model", MODELS)
def test_each_list_and_page_works(admin: Client, everything: dict[str, Any], model: str) -> None:
    assert admin.get(f"/admin/towns/{model}/").status_code == 200
    page = admin.get(f"/admin/towns/{model}/{everything[model].pk}/change/")
    assert page.status_code == 200
    assert SHOWN[model] in page.content.decode()


@pytest.mark.parametrize("model", MODELS)
def test_each_list_can_be_searched(admin: Client, everything: dict[str, Any], model: str) -> None:
    assert admin.get(f"/admin/towns/{model}/?q=x").status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_none_is_added_changed_or_deleted(
    admin: Client, everything: dict[str, Any], model: str
) -> None:
    pk = everything[model].pk
    assert admin.get(f"/admin/towns/{model}/add/").status_code == 403
    assert admin.post(f"/admin/towns/{model}/{pk}/change/", {"reason": "x"}).status_code == 403
    assert admin.post(f"/admin/towns/{model}/{pk}/delete/", {"post": "yes"}).status_code == 403


def test_events_can_not_be_changed_through_the_orm_either(everything: dict[str, Any]) -> None:
    event = everything["lifecycleevent"]
    for change in (
        event.save,
        event.delete,
        LifecycleEvent.objects.all().delete,
        lambda: LifecycleEvent.objects.update(reason="x"),
        lambda: LifecycleEvent.objects.bulk_update([event], ["reason"]),
        lambda: event.town.events.all().update(reason="x"),
    ):
        with pytest.raises(ImmutableError):
            change()
    assert LifecycleEvent.objects.get(pk=event.pk).reason == "a reason"


def test_automation_is_frozen_and_thawed(admin: Client) -> None:
    admin.post("/admin/towns/freeze/freeze/", {"scope": "all", "reason": "window", "minutes": 5})
    assert automation.frozen(Freeze.objects.get().since) == ("Automation is frozen by root: window")
    assert "window" in admin.get("/admin/towns/freeze/").content.decode()
    admin.post("/admin/towns/freeze/thaw/", {"scope": "all"})
    assert Freeze.objects.get().thawed_by == "root"


def test_freezing_needs_its_permission(staff: Any) -> None:
    client = staff("view_freeze", "view_town")
    answer = client.post("/admin/towns/freeze/freeze/", {"scope": "all", "reason": "x"})
    assert answer.status_code == 403
    assert not Freeze.objects.exists()
