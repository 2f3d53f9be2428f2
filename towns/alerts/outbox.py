"""Writing news into the outbox, in the transaction that it is about.

Whoever opens or resolves alerts only inserts rows here. Only messengers lock and change them (see
`claims`), so that no messenger ever makes a flow wait.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from towns.alerts.planning import Rules, patience
from towns.alerts.recipients import recipients_of, staff
from towns.models import Alert, Delivery

FORGOTTEN_AT_ONCE = 1000
_STATE, _NEWS = Delivery.State, Delivery.News


def rules() -> Rules:
    """The settings that decide."""
    return Rules(
        digest_over=settings.GASTOWN_ALERT_DIGEST_OVER,
        window=timedelta(seconds=settings.GASTOWN_ALERT_DIGEST_WINDOW_SECONDS),
        pause=timedelta(seconds=settings.GASTOWN_ALERT_DIGEST_PAUSE_SECONDS),
        attempts=settings.GASTOWN_ALERT_ATTEMPTS,
    )


def write_opened(alerts: Iterable[Alert], now: datetime) -> bool:
    """Write the news of fresh alerts, in one statement; whether any is due at once.

    Belongs into the transaction that opens them. Their towns and owners have to be read with them.
    """
    standing = rules()
    rows = [
        Delivery(
            alert=alert,
            news=_NEWS.OPENED,
            channel=recipient.channel,
            recipient=recipient.address,
            audience=recipient.audience,
            created_at=now,
            due_at=alert.opened_at
            + patience(severity=alert.severity, of_fleet=alert.town_id is None, rules=standing),
        )
        for alert in alerts
        for recipient in recipients_of(alert)
    ]
    return _write(rows, now)


def write_resolved(alert_ids: Collection[int], now: datetime) -> bool:
    """Write the news of resolved alerts for those who were told, or may yet be told, that they
    opened, in two statements; whether any is due at once.

    Whether they were told is decided when it is sent: a try may be under way just now. Belongs into
    the transaction that resolves them.
    """
    wait = rules().window
    heard = Q(state__in=[_STATE.PENDING, _STATE.SENT]) | Q(in_doubt=True)
    rows = [
        Delivery(
            alert_id=opening.alert_id,
            news=_NEWS.RESOLVED,
            channel=opening.channel,
            recipient=opening.recipient,
            audience=opening.audience,
            created_at=now,
            due_at=now if opening.alert.town_id is None else now + wait,
        )
        for opening in Delivery.objects.filter(heard, news=_NEWS.OPENED, alert_id__in=alert_ids)
        .select_related("alert")
        .order_by("pk")
    ]
    return _write(rows, now)


def write_forgotten(now: datetime) -> None:
    """Write the news of open alerts that were opened while there was nobody to tell, or before
    there was an outbox; what was told then is left alone."""
    if not staff():
        return
    untold = Alert.objects.filter(
        ~Exists(Delivery.objects.filter(alert=OuterRef("pk"))), resolved_at=None, notified_at=None
    )
    found = list(untold.select_related("town__owner").order_by("pk")[:FORGOTTEN_AT_ONCE])
    if found:
        write_opened(found, now)


def _write(rows: list[Delivery], now: datetime) -> bool:
    if rows:
        Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    return any(row.due_at <= now for row in rows)
