"""Alerts: one per subject and cause, told once."""

import pytest
from django.core import mail
from django.test import override_settings

from tests.factories import NOW, make_town
from towns import alerts
from towns.models import Alert

pytestmark = pytest.mark.django_db
STAFF = override_settings(GASTOWN_STAFF_EMAILS=["ops@example.test"])


def opened(severity: str = "critical", **fields: object) -> Alert:
    values: dict[str, object] = {"cause": "start_failed", "message": "It failed.", "now": NOW}
    return alerts.open_alert(severity=severity, **{**values, **fields})  # type: ignore[arg-type]


def test_it_works() -> None:
    town = make_town()
    with STAFF:
        opened(town=town)
        assert alerts.deliver_alerts(NOW) == 1
    assert [message.to for message in mail.outbox] == [["ops@example.test"], [town.owner.email]]
    assert str(town) in mail.outbox[0].subject


def test_one_is_open_per_town_and_cause() -> None:
    town = make_town()
    assert opened(town=town) == opened(town=town)
    assert Alert.objects.count() == 1


def test_nobody_gets_the_same_news_twice() -> None:
    town = make_town()
    with STAFF:
        opened(town=town)
        alerts.deliver_alerts(NOW)
        opened(town=town)
        assert alerts.deliver_alerts(NOW) == 0


def test_owners_are_not_told_of_warnings() -> None:
    with STAFF:
        opened("warning", town=make_town())
        alerts.deliver_alerts(NOW)
    assert [message.to for message in mail.outbox] == [["ops@example.test"]]


def test_resolved_alerts_are_kept_and_a_new_one_can_open() -> None:
    town = make_town()
    opened(town=town)
    assert alerts.resolve_alerts(town=town, causes=["start_failed"], resolution="ok", now=NOW) == 1
    opened(town=town)
    assert Alert.objects.count() == 2


@override_settings(EMAIL_BACKEND="tests.test_alerts.BrokenBackend")
def test_one_that_cannot_be_sent_is_tried_again() -> None:
    with STAFF:
        opened(town=make_town())
        assert alerts.deliver_alerts(NOW) == 0
    assert Alert.objects.get().notified_at is None


class BrokenBackend:
    """A mail server that is not there."""

    def __init__(self, **_: object) -> None:
        pass

    def send_messages(self, _: object) -> int:
        """Refuse."""
        raise ConnectionRefusedError("no mail server")
