"""Taking deliveries into one hand, and noting how they ended. For messengers alone.

As in `towns.alerts.claims`: a lease that is over was held by a messenger that died, perhaps after
it sent; the try is repeated under the same webhook-id, and the row says that it is in doubt.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Case, F, Min, Q, QuerySet, Value, When

from towns.alerts.claims import LEASE_SECONDS
from towns.models import WebhookDelivery, WebhookEndpoint

_STATE = WebhookDelivery.State


def ready(now: datetime) -> list[WebhookEndpoint]:
    """The endpoints that something is due for, those that wait longest first."""
    due = _due(now).filter(endpoint__enabled=True, endpoint__removed_at=None)
    open_now = due.filter(Q(endpoint__paused_until=None) | Q(endpoint__paused_until__lte=now))
    waits = open_now.order_by().values("endpoint_id").annotate(oldest=Min("due_at"))
    wanted = list(waits.order_by("oldest").values_list("endpoint_id", flat=True))
    found = WebhookEndpoint.objects.in_bulk(wanted)
    return [found[pk] for pk in wanted]


def as_it_is(endpoint: WebhookEndpoint) -> WebhookEndpoint | None:
    """An endpoint read again, since people change it meanwhile; None if nothing is to be sent."""
    return WebhookEndpoint.objects.filter(pk=endpoint.pk, enabled=True, removed_at=None).first()


def claim(endpoint: WebhookEndpoint, now: datetime, *, at_most: int) -> Sequence[WebhookDelivery]:
    """Take what is due for an endpoint, the oldest first: in this hand alone until the lease ends.

    The due time moves to the end of the lease first, so that one that kills its messenger can't
    stop the others.
    """
    token, until = uuid4(), now + timedelta(seconds=LEASE_SECONDS)
    with transaction.atomic():
        mine = _due(now).filter(endpoint=endpoint).select_for_update(skip_locked=True, no_key=True)
        ids = list(mine.order_by("due_at", "pk").values_list("pk", flat=True)[:at_most])
        taken = WebhookDelivery.objects.filter(pk__in=ids)
        taken.update(
            claim=token,
            in_doubt=Case(When(lease_until__isnull=False, then=Value(True)), default=F("in_doubt")),
            lease_until=until,
            due_at=until,
            attempts=F("attempts") + 1,
        )
    return list(
        WebhookDelivery.objects.filter(claim=token)
        .select_related("event__town__owner")
        .order_by("event_id")
    )


def give_up_spent(now: datetime, why: str, *, attempts: int) -> int:
    """What killed its messenger in its last try is told no more; returns how many."""
    return (
        _due(now)
        .filter(attempts__gte=attempts, lease_until__isnull=False)
        .update(
            state=_STATE.GIVEN_UP,
            ended_at=now,
            last_error=why,
            in_doubt=True,
            claim=None,
            lease_until=None,
        )
    )


def settle(delivery: WebhookDelivery, **fields: Any) -> bool:
    """Note how a try ended; False if the lease was lost meanwhile, and nothing is noted."""
    mine = WebhookDelivery.objects.filter(
        pk=delivery.pk, claim=delivery.claim, state=_STATE.PENDING
    )
    return mine.update(**fields, claim=None, lease_until=None) == 1


def settle_sent(deliveries: Sequence[WebhookDelivery], token: UUID, now: datetime) -> None:
    """Note in one statement that they arrived."""
    WebhookDelivery.objects.filter(
        pk__in=[one.pk for one in deliveries], claim=token, state=_STATE.PENDING
    ).update(state=_STATE.SENT, ended_at=now, last_error="", claim=None, lease_until=None)


def _due(now: datetime) -> QuerySet[WebhookDelivery]:
    """What is due and in nobody's hand."""
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    return WebhookDelivery.objects.filter(free, state=_STATE.PENDING, due_at__lte=now)
