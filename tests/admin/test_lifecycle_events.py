"""The history in the admin."""

import pytest
from django.test import Client

from tests.admin.conftest import page
from tests.factories import NOW, make_operation, make_town
from towns import history
from towns.history import Actor
from towns.models import LifecycleEvent
from towns.models.history import ImmutableError
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/lifecycleevent/"


def test_it_works(admin: Client) -> None:
    town = make_town()
    operation = make_operation(town, OperationKind.BACKUP)
    rule = Actor.automation("sweep:health")
    event = history.record(
        town,
        "not_restarted",
        actor=rule,
        now=NOW,
        reason="61 % of region ams fails",
        operation=operation,
        data={"share": 0.61, "canary": None},
    )
    for path in (LIST, f"{LIST}{event.pk}/change/"):
        text = page(admin, path)
        for shown in (str(town), "not restarted", "61 % of region", "sweep:health (automatic)"):
            assert shown in text, shown
    for shown in ("<b>share</b> 0.61", "2026-02-17 12:00:00 UTC", f"operation/{operation.pk}/"):
        assert shown in text, shown


def test_events_can_not_be_changed_through_the_orm_either() -> None:
    event = history.record(make_town(), "changed", actor=Actor("ann"), now=NOW, reason="a reason")
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


def test_it_is_filtered_by_the_status_that_it_led_to(admin: Client) -> None:
    for name, status in (("wanted", Status.ERROR), ("other", Status.RUNNING)):
        town = make_town(name=name, status=Status.RESTARTING)
        history.change_status(town, status, kind="restart_ended", actor=Actor("ann"), now=NOW)
    text = page(admin, f"{LIST}?to=error")
    assert "/wanted" in text
    assert "/other" not in text


def test_what_people_write_is_shown_as_text(admin: Client) -> None:
    event = history.record(
        make_town(),
        "changed",
        actor=Actor("ann"),
        now=NOW,
        reason="<script>alert(1)</script>",
        data={"<b>": "<i>"},
    )
    for path in (LIST, f"{LIST}{event.pk}/change/"):
        assert "<script>alert" not in page(admin, path)
    assert "&lt;b&gt;" in page(admin, path)
