"""Opening and resolving alerts. One is open per subject and cause, whoever else opens it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

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
    """Open an alert for a town or another `subject`; one that is open is seen again instead."""
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
            call_messenger()
            return found
        except IntegrityError:  # somebody was faster
            found = known.get()
    known.update(seen_at=now, message=message, data=data or {})
    return found


def open_many(wanted: Iterable[Alert]) -> None:
    """Open unsaved alerts in one statement; those that are open already stay as they are."""
    fresh = list(wanted)
    if fresh:
        Alert.objects.bulk_create(fresh, ignore_conflicts=True)
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
    return Alert.objects.filter(
        subject=subject or _subject(town), cause__in=list(causes), resolved_at=None
    ).update(resolved_at=now, resolution=resolution)


def resolve_many(ids: Iterable[int], *, resolution: str, now: datetime) -> None:
    """Close open alerts by their ids, in one statement."""
    wanted = list(ids)
    if wanted:
        Alert.objects.filter(pk__in=wanted, resolved_at=None).update(
            resolved_at=now, resolution=resolution
        )


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
    """Have people told, once this transaction has committed."""
    from django_q.tasks import async_task  # here, since it reads the broker's settings

    transaction.on_commit(lambda: async_task("towns.tasks.deliver_alerts"), robust=True)


def _subject(town: Town | None) -> str:
    if town is None:
        raise ValueError("an alert needs a town or a subject")
    return str(town.pk)
