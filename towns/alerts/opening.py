"""Opening and resolving alerts. One is open per subject and cause, whoever else opens it.

What people are to be told is written in the same transaction (see `outbox`): an alert that stands
is told, whatever dies next.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from towns.alerts import outbox
from towns.models import Alert, Town


def open_alert(
    *,
    cause: str,
    severity: str,
    message: str,
    now: datetime,
    town: Town | None = None,
    subject: str = "",
    data: dict[str, Any] | None = None,
) -> Alert:
    """Open an alert for a town or another `subject`; one that is open is seen again instead.

    One that has become critical meanwhile is told to those who are told of critical ones alone.
    """
    subject = subject or _subject(town)
    known = Alert.objects.filter(subject=subject, cause=cause, resolved_at=None)
    found = known.first()
    if found is None:
        try:
            with transaction.atomic():
                found = Alert.objects.create(
                    town=town,
                    subject=subject,
                    cause=cause,
                    severity=severity,
                    message=message,
                    data=data or {},
                    opened_at=now,
                    seen_at=now,
                )
                if outbox.write_opened([found], now):
                    call_messenger()
            return found
        except IntegrityError:  # somebody was faster
            found = known.first()
    if found is None or not _see_again(found, severity, message, data or {}, now):
        # It was resolved at this very moment: what is wrong now is news.
        return open_alert(
            cause=cause,
            severity=severity,
            message=message,
            now=now,
            town=town,
            subject=subject,
            data=data,
        )
    return found


@transaction.atomic
def _see_again(
    alert: Alert, severity: str, message: str, data: dict[str, Any], now: datetime
) -> bool:
    """Note that an open alert was seen again; False when it isn't open any more."""
    critical = Alert.Severity.CRITICAL
    worse = severity == critical != alert.severity
    fields: dict[str, Any] = {"severity": critical} if worse else {}
    standing = Alert.objects.filter(pk=alert.pk, resolved_at=None)
    if standing.update(seen_at=now, message=message, data=data, **fields) != 1:
        return False
    if worse:
        alert.severity, alert.message = critical, message
        if outbox.write_opened([alert], now):  # who was told already is not told twice
            call_messenger()
    return True


def open_many(wanted: Iterable[Alert]) -> None:
    """Open unsaved alerts in three statements; those that are open already stay as they are."""
    fresh = list(wanted)
    if not fresh:
        return
    now = max(alert.opened_at for alert in fresh)
    with transaction.atomic():
        Alert.objects.bulk_create(fresh, ignore_conflicts=True)
        mine = {(alert.subject, alert.cause) for alert in fresh}
        # Those that were not open before: the others were opened at another moment, and have their
        # news in the outbox, where it can't be written twice.
        standing = Alert.objects.filter(
            subject__in={subject for subject, _ in mine},
            opened_at__in={alert.opened_at for alert in fresh},
            resolved_at=None,
        ).select_related("town__owner")
        opened = [alert for alert in standing if (alert.subject, alert.cause) in mine]
        if outbox.write_opened(opened, now):
            call_messenger()


def resolve_alerts(
    *,
    causes: Iterable[str],
    resolution: str,
    now: datetime,
    town: Town | None = None,
    subject: str = "",
) -> int:
    """Close the open alerts of these causes; returns how many there were."""
    standing = Alert.objects.filter(subject=subject or _subject(town), cause__in=list(causes))
    return _resolve(standing, resolution, now)


def resolve_many(ids: Iterable[int], *, resolution: str, now: datetime) -> None:
    """Close open alerts by their ids, in a fixed number of statements."""
    wanted = list(ids)
    if wanted:
        _resolve(Alert.objects.filter(pk__in=wanted), resolution, now)


def _resolve(some: QuerySet[Alert], resolution: str, now: datetime) -> int:
    """Each alert is closed, and its news written, by whoever closes it first."""
    standing = some.filter(resolved_at=None)
    if not standing.exists():  # mostly: nothing is written, and no transaction is begun
        return 0
    with transaction.atomic():
        locked = standing.select_for_update(no_key=True).order_by("pk")
        ids = list(locked.values_list("pk", flat=True))
        Alert.objects.filter(pk__in=ids).update(resolved_at=now, resolution=resolution)
        if outbox.write_resolved(ids, now):
            call_messenger()
    return len(ids)


def new_alert(town_id: UUID, cause: str, *, severity: str, message: str, now: datetime) -> Alert:
    """An unsaved alert of a town, for `open_many`."""
    return Alert(
        town_id=town_id,
        subject=str(town_id),
        cause=cause,
        severity=severity,
        message=message,
        opened_at=now,
        seen_at=now,
    )


def call_messenger() -> None:
    """Have people told, once this transaction has committed. News that waits for others is left to
    the schedule that calls a messenger every minute."""
    from django_q.tasks import async_task  # here, since it reads the broker's settings

    transaction.on_commit(lambda: async_task("towns.tasks.deliver_alerts"), robust=True)


def _subject(town: Town | None) -> str:
    if town is None:
        raise ValueError("an alert needs a town or a subject")
    return str(town.pk)
