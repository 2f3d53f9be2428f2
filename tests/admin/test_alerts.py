"""Alerts in the admin."""

import pytest
import responses
from django.test import Client, override_settings

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


def test_its_page_says_who_was_told_and_what_went_wrong(admin: Client) -> None:
    with override_settings(
        GASTOWN_STAFF_EMAILS=["ops@example.test"],
        GASTOWN_ALERT_WEBHOOK_URL="https://hooks.test/T0KEN",
        GASTOWN_ALERT_WEBHOOK_SECRET="a-webhook-secret-for-tests",
        GASTOWN_ALERT_ATTEMPTS=1,
    ):
        alert = alerts.open_alert(
            cause="platform_down", subject="fleet", severity="critical", message="Hm.", now=NOW
        )
        with responses.RequestsMock() as outside:
            outside.post("https://hooks.test/T0KEN", status=503)
            alerts.deliver_alerts(NOW)
        text = page(admin, f"{LIST}{alert.pk}/change/")
        listed = page(admin, "/admin/towns/delivery/?state__exact=given_up")
    for shown in ("ops@example.test (staff)", "2026-02-17 12:00:00 UTC", "hooks.test (staff)"):
        assert shown in text, shown
    for shown in ("given up", "hooks.test answered 503."):
        assert shown in text, shown
        assert shown in listed, shown
    assert "ops@example.test" not in listed
    for secret in ("T0KEN", "a-webhook-secret"):
        assert secret not in text + listed


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
