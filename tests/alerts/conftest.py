"""What the tests of alerts share: staff, an owner's town, a mail server that can be broken."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.test import override_settings

from tests.factories import NOW, make_town, make_user
from towns import alerts
from towns.models import Alert, Town

OPS = "ops@example.test"
HOOK = "https://hooks.example.test/T0KEN-in-path?key=s3cret"
WEBHOOK = {
    "GASTOWN_ALERT_WEBHOOK_URL": HOOK,
    "GASTOWN_ALERT_WEBHOOK_SECRET": "a-webhook-secret-for-tests-only",
}


def after(seconds: float) -> datetime:
    """So many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def open_one(town: Town | None = None, **fields: Any) -> Alert:
    """An alert, of a restart that failed unless `fields` say otherwise."""
    values: dict[str, Any] = {
        "cause": "restart_failed",
        "severity": "critical",
        "message": f"{town or 'the fleet'}: restart failed. It does not answer.",
        "now": NOW,
    }
    return alerts.open_alert(town=town, **{**values, **fields})


def resolve(alert: Alert, now: datetime, resolution: str = "restart succeeded") -> None:
    """Close one."""
    alerts.resolve_many([alert.pk], resolution=resolution, now=now)


def sent() -> list[tuple[str, str]]:
    """To whom and with which subject, in their order."""
    return [(message.to[0], str(message.subject)) for message in mail.outbox]


@pytest.fixture
def staff() -> Iterator[None]:
    """One address of staff, and a short memory."""
    with override_settings(GASTOWN_STAFF_EMAILS=[OPS]):
        yield


@pytest.fixture
def mill() -> Town:
    """ann/mill."""
    return make_town(
        owner=make_user("ann"), name="mill", region="ams", image="registry.test/town:41"
    )


class MailServer(BaseEmailBackend):
    """Takes what it is given, unless `fails` holds an exception for the next messages."""

    opening: list[Exception] = []
    fails: list[BaseException | None] = []
    then: list[BaseException] = []

    def open(self) -> bool:
        """Connect."""
        if self.opening:
            raise self.opening.pop(0)
        return True

    def send_messages(self, messages: Any) -> int:
        """Take them, or not; `then` happens after they were taken."""
        for message in messages:
            assert isinstance(message, EmailMessage)
            message.message()  # headers are checked in here
            if self.fails and (error := self.fails.pop(0)) is not None:
                raise error
            mail.outbox.append(message)
            if self.then:
                raise self.then.pop(0)
        return len(messages)


@pytest.fixture
def server() -> Iterator[type[MailServer]]:
    """The mail server, to be broken."""
    MailServer.opening, MailServer.fails, MailServer.then = [], [], []
    mail.outbox = []
    with override_settings(EMAIL_BACKEND="tests.alerts.conftest.MailServer"):
        yield MailServer
