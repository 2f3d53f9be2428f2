"""Taking messages out of the outbox, and noting how they ended. For messengers alone."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Case, F, Max, OuterRef, Q, QuerySet, Subquery, Value, When

from towns.alerts.causes import COVERING
from towns.alerts.planning import OVER, OVER_IN_DOUBT, STORM_PAUSES, Line, Message, Opening, Waiting
from towns.models import Alert, Delivery

LEASE_SECONDS = 150
"""Longer than a task of the cluster lives (120 s): who holds a lease that is over is dead."""
_STATE, _NEWS = Delivery.State, Delivery.News
_OPENINGS = Delivery.objects.filter(news=_NEWS.OPENED)


def read_waiting(now: datetime) -> list[Waiting]:
    """All that waits for a first try, and what is due for another, in two statements."""
    rows = list(
        _free(now)
        .filter(Q(message_id=None) | Q(due_at__lte=now))
        .order_by("pk")
        .values(
            *("pk", "alert_id", "news", "channel", "recipient", "audience", "due_at", "attempts"),
            *("in_doubt", "lease_until", "message_id", "digest", "alert__cause"),
            *("alert__severity", "alert__resolved_at", "alert__town_id", "alert__town__owner_id"),
            *("alert__town__region", "alert__town__image", "alert__town__fly_app"),
        )
    )
    openings = _openings({row["alert_id"] for row in rows if row["news"] == _NEWS.RESOLVED}, now)
    return [
        Waiting(
            pk=row["pk"],
            alert=row["alert_id"],
            news=row["news"],
            channel=row["channel"],
            recipient=row["recipient"],
            audience=row["audience"],
            due_at=row["due_at"],
            attempts=row["attempts"],
            in_doubt=row["in_doubt"] or row["lease_until"] is not None,
            message_id=row["message_id"],
            digest=row["digest"],
            cause=row["alert__cause"],
            severity=row["alert__severity"],
            is_resolved=row["alert__resolved_at"] is not None,
            town=row["alert__town_id"],
            owner=row["alert__town__owner_id"],
            app=row["alert__town__fly_app"] or "",
            region=row["alert__town__region"] or "",
            image=row["alert__town__image"] or "",
            opening=openings.get((row["alert_id"], row["channel"], row["recipient"])),
        )
        for row in rows
    ]


def _openings(alert_ids: set[int], now: datetime) -> dict[tuple[int, str, str], Opening]:
    if not alert_ids:
        return {}
    return {
        (row.alert_id, row.channel, row.recipient): Opening(
            told=row.state == _STATE.SENT or row.in_doubt or row.lease_until is not None,
            under_way=row.state == _STATE.PENDING
            and row.lease_until is not None
            and row.lease_until > now,
            digest=row.digest,
        )
        for row in _OPENINGS.filter(alert_id__in=alert_ids)
    }


def read_digests(now: datetime, pause: timedelta) -> dict[Line, datetime]:
    """When the last digest of each line was first tried, as far as it still matters."""
    since = now - STORM_PAUSES * pause
    rows = (
        Delivery.objects.filter(message_at__gt=since)
        .exclude(digest="")
        .exclude(state=_STATE.SKIPPED)
        .order_by()
        .values_list("channel", "recipient", "news", "digest")
        .annotate(last=Max("message_at"))
    )
    return {Line(*row[:4]): row[4] for row in rows}


def read_down() -> list[str]:
    """The scopes whose platform is down."""
    return list(
        Alert.objects.filter(cause=COVERING, resolved_at=None).values_list("subject", flat=True)
    )


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message in our hand, with the alerts that are still news, read after it was taken."""

    message: Message
    message_id: UUID
    token: UUID
    attempts: int
    alerts: list[Alert]


def claim(message: Message, now: datetime) -> Claimed | None:
    """Take a message under a lease, all of it or nothing: None when another messenger is at it.

    Its due time moves to the end of the lease first, so that one that kills its messenger can't
    stop the others. An alert that was resolved meanwhile is dropped from it here.
    """
    wanted = [one.pk for one in message.deliveries]
    token, message_id = uuid4(), message.message_id or uuid4()
    until = now + timedelta(seconds=LEASE_SECONDS)
    with transaction.atomic():
        mine = _free(now).filter(pk__in=wanted, attempts=message.deliveries[0].attempts)
        if _locked(mine) != sorted(wanted):
            return None
        Delivery.objects.filter(pk__in=wanted).update(
            claim=token,
            in_doubt=_doubt(),
            lease_until=until,
            due_at=until,
            attempts=F("attempts") + 1,
            message_id=message_id,
            message_at=Case(When(message_at=None, then=Value(now)), default=F("message_at")),
            digest=message.digest,
        )
    alerts = list(
        Alert.objects.filter(pk__in=[one.alert for one in message.deliveries])
        .select_related("town__owner")
        .order_by("pk")
    )
    if message.news == _NEWS.OPENED:
        over = {alert.pk for alert in alerts if alert.resolved_at is not None}
        alerts = [alert for alert in alerts if alert.pk not in over]
        doubt = any(one.in_doubt for one in message.deliveries)
        reason = OVER_IN_DOUBT if doubt else OVER
        drop([one.pk for one in message.deliveries if one.alert in over], reason, now, token=token)
    attempts = message.deliveries[0].attempts + 1
    return Claimed(message, message_id, token, attempts, alerts)


def drop(pks: Collection[int], reason: str, now: datetime, *, token: UUID | None = None) -> None:
    """What is no news any more is not told."""
    _end(pks, now, token, state=_STATE.SKIPPED, last_error=reason)


def give_up(pks: Collection[int], reason: str, now: datetime) -> None:
    """What had all its tries is told no more."""
    _end(pks, now, None, state=_STATE.GIVEN_UP, last_error=reason)


def _end(pks: Collection[int], now: datetime, token: UUID | None, **fields: Any) -> None:
    if not pks:
        return
    rows = _free(now) if token is None else Delivery.objects.filter(claim=token)
    with transaction.atomic():
        found = _locked(rows.filter(pk__in=pks))
        doubt = {} if token is not None else {"in_doubt": _doubt()}
        Delivery.objects.filter(pk__in=found).update(
            **fields, **doubt, claim=None, lease_until=None
        )


def settle(claimed: Claimed, **fields: Any) -> None:
    """Note how a try ended, unless the lease was lost meanwhile."""
    with transaction.atomic():
        found = _locked(Delivery.objects.filter(claim=claimed.token, state=_STATE.PENDING))
        Delivery.objects.filter(pk__in=found).update(**fields, claim=None, lease_until=None)


def note_told(now: datetime) -> None:
    """Note on alerts when they were first told. Of what a flow holds just now the next round does,
    so that neither waits for the other."""
    told = _OPENINGS.filter(state=_STATE.SENT, alert=OuterRef("pk"))
    lately = _OPENINGS.filter(state=_STATE.SENT, sent_at__gt=now - timedelta(hours=1))
    untold = Alert.objects.filter(notified_at=None, pk__in=lately.values("alert_id"))
    with transaction.atomic():
        found = _locked(untold, skip_locked=True)
        if found:
            Alert.objects.filter(pk__in=found).update(
                notified_at=Subquery(told.order_by("sent_at").values("sent_at")[:1])
            )


def _free(now: datetime) -> QuerySet[Delivery]:
    """What waits and is in nobody's hand."""
    return Delivery.objects.filter(
        Q(lease_until=None) | Q(lease_until__lte=now), state=_STATE.PENDING
    )


def _doubt() -> Case:
    """A row that still has a lease was held by a messenger that died, perhaps after it sent."""
    return Case(When(lease_until__isnull=False, then=Value(True)), default=F("in_doubt"))


def _locked(rows: QuerySet[Any], *, skip_locked: bool = False) -> list[int]:
    """Lock rows in the order of their keys, so that no two lock them crosswise."""
    locked = rows.select_for_update(no_key=True, skip_locked=skip_locked)
    return list(locked.order_by("pk").values_list("pk", flat=True))
