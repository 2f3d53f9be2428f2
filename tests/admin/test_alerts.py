"""Alerts in the admin."""

import pytest
from django.test import Client

from tests.admin.conftest import page
from tests.factories import NOW, make_town
from towns import alerts
from towns.models import Alert

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/alert/"


def test_it_works(admin: Client) -> None:
    town = make_town()
    alert = alerts.open_alert(
        cause="stop_failed", town=town, severity="critical", message="It failed.", now=NOW
    )
    for path in (LIST, f"{LIST}{alert.pk}/change/"):
        text = page(admin, path)
        for shown in (str(town), "critical", "stop_failed", "It failed."):
            assert shown in text, shown


def test_one_of_the_fleet_names_its_subject(admin: Client) -> None:
    alerts.open_alert(
        cause="platform_down", subject="region:ams", severity="critical", message="Hm.", now=NOW
    )
    assert "region:ams" in page(admin, LIST)


def test_open_ones_and_those_that_are_over(admin: Client) -> None:
    for name in ("stands", "gone"):
        alerts.open_alert(
            cause="stop_failed",
            town=make_town(name=name),
            severity="warning",
            message="Hm.",
            now=NOW,
        )
    gone = Alert.objects.get(town__name="gone")
    alerts.resolve_alerts(
        subject=gone.subject, causes=["stop_failed"], resolution="it heals", now=NOW
    )
    for state, shown, hidden in (("open", "/stands", "/gone"), ("over", "/gone", "/stands")):
        text = page(admin, f"{LIST}?state={state}")
        assert shown in text
        assert hidden not in text
    assert "it heals" in page(admin, f"{LIST}{gone.pk}/change/")
