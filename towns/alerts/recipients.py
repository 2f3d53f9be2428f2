"""Who is told of an alert, and over which channel."""

from dataclasses import dataclass

from django.conf import settings

from towns.models import Alert, Delivery
from towns.posting import webhook_host


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who is told. `address` is shown to staff: of the webhook it is the host alone."""

    channel: str
    address: str
    audience: str


def recipients_of(alert: Alert) -> list[Recipient]:
    """Staff by email and webhook about everything; a town's owner about what is critical.

    The town's owner has to be read with the alert. An owner who is also staff is told as staff.
    """
    found = staff()
    if alert.severity == Alert.Severity.CRITICAL and alert.town is not None:
        found += _emails([alert.town.owner.email], Delivery.Audience.OWNER)
    return list({(one.channel, one.address.casefold()): one for one in reversed(found)}.values())[
        ::-1
    ]


def staff() -> list[Recipient]:
    """Who is told about every alert."""
    found = _emails(settings.GASTOWN_STAFF_EMAILS, Delivery.Audience.STAFF)
    if settings.GASTOWN_ALERT_WEBHOOK_URL and settings.GASTOWN_ALERT_WEBHOOK_SECRET:
        host = webhook_host(settings.GASTOWN_ALERT_WEBHOOK_URL)
        found.append(Recipient(Delivery.Channel.WEBHOOK, host, Delivery.Audience.STAFF))
    return found


def _emails(addresses: list[str], audience: str) -> list[Recipient]:
    stripped = (address.strip() for address in addresses)
    return [Recipient(Delivery.Channel.EMAIL, one, audience) for one in stripped if one]
