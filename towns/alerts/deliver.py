"""Telling people about alerts by email: staff about each, owners about what is critical."""

import logging
import smtplib
from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMessage

from towns.models import Alert

log = logging.getLogger(__name__)
AT_ONCE = 100


def deliver_alerts(now: datetime) -> int:
    """Send what was not sent yet; returns how many alerts were told.

    An alert is claimed by one conditional UPDATE before it is sent, so that two messengers don't
    both send it; one that can't be sent is given back.
    """
    waiting = Alert.objects.filter(notified_at=None, resolved_at=None).select_related("town__owner")
    told = 0
    for alert in waiting.order_by("id")[:AT_ONCE]:
        if Alert.objects.filter(pk=alert.pk, notified_at=None).update(notified_at=now) != 1:
            continue
        try:
            _send(alert)
            told += 1
        except (OSError, smtplib.SMTPException) as error:
            Alert.objects.filter(pk=alert.pk).update(notified_at=None)
            log.error("Alert %s could not be sent, it is tried again: %s", alert.pk, error)
            break
    return told


def _send(alert: Alert) -> None:
    title = f"{alert.town}: " if alert.town else ""
    subject = f"[Gastown Ops] {title}{alert.cause.replace('_', ' ')}"
    for address in _recipients(alert):
        EmailMessage(subject, alert.message, to=[address]).send()


def _recipients(alert: Alert) -> list[str]:
    addresses = list(settings.GASTOWN_STAFF_EMAILS)
    if alert.severity == Alert.Severity.CRITICAL and alert.town is not None:
        addresses.append(alert.town.owner.email)
    return [address for address in dict.fromkeys(addresses) if address]
