"""What people are sent is true when it is sent."""

from datetime import timedelta

import pytest
from django.core import mail
from django.test import override_settings

from tests.factories import NOW, make_town
from towns import alerts

pytestmark = pytest.mark.django_db


@override_settings(GASTOWN_STAFF_EMAILS=["ops@example.test"])
def test_coder_20944_what_is_over_by_then_is_not_sent() -> None:
    town = make_town()
    for cause in ("start_failed", "stop_failed"):
        alerts.open_alert(cause=cause, town=town, severity="warning", message="Hm.", now=NOW)
    alerts.resolve_alerts(town=town, causes=["start_failed"], resolution="it runs", now=NOW)
    alerts.deliver_alerts(NOW + timedelta(minutes=5))  # when the window of digests is over
    [message] = mail.outbox
    assert "stop failed" in message.subject
