"""Following the history: each event that a webhook wants to hear of gets its delivery, once.

Writing an event costs nothing for it: the history is the queue. Ids are given in order, but
transactions commit in any: an event may appear below one that was seen before. So each round looks
again at all that is above `settled`, and skips what has its delivery. `mark` is the newest id that
was seen at `marked_at`: whoever got an id up to it had begun by then, and is over `GRACE` later.
What a complete look finds then is all that there ever will be up to there: `settled` moves to it.

Rows are bounded: while many wait for a webhook nothing is added, and while it is disabled nothing
is read. It goes on later from where it stopped.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from towns.models import LifecycleEvent, WebhookDelivery, WebhookEndpoint
from towns.webhooks.endpoints import newest_event, standing

GRACE = timedelta(minutes=10)
"""Longer than any transaction that writes an event: a task is killed after 120 s."""
ROOM = 1000
"""So many deliveries of one webhook wait at once."""


def follow_history(now: datetime) -> int:
    """Write the deliveries of what is new for all webhooks; returns how many. What another worker
    follows just now is left to it."""
    newest = newest_event()
    ids = standing().filter(enabled=True).values_list("pk", flat=True)
    return sum(_follow(pk, newest, now) for pk in list(ids))


@transaction.atomic
def _follow(pk: UUID, newest: int, now: datetime) -> int:
    mine = standing().select_for_update(skip_locked=True, no_key=True)
    endpoint = mine.filter(pk=pk, enabled=True).first()
    if endpoint is None or newest <= endpoint.settled:
        return 0
    waiting = endpoint.deliveries.filter(state=WebhookDelivery.State.PENDING).count()
    room = ROOM - waiting
    if room <= 0:
        return 0
    found = list(_unheard(endpoint, newest).values_list("pk", flat=True)[:room])
    WebhookDelivery.objects.bulk_create(
        [
            WebhookDelivery(endpoint=endpoint, event_id=event, created_at=now, due_at=now)
            for event in found
        ]
    )
    _move_on(endpoint, newest, seen=found[-1] if len(found) == room else newest, now=now)
    return len(found)


def _unheard(endpoint: WebhookEndpoint, newest: int) -> QuerySet[LifecycleEvent]:
    """What it wants to hear of and has no delivery, the oldest first."""
    known = WebhookDelivery.objects.filter(endpoint=endpoint, event=OuterRef("pk"))
    events = LifecycleEvent.objects.filter(
        ~Exists(known), pk__gt=endpoint.settled, pk__lte=newest
    ).order_by("pk")
    if endpoint.kinds:
        events = events.filter(kind__in=endpoint.kinds)
    if endpoint.owner_id is not None:
        events = events.filter(town__owner_id=endpoint.owner_id)
    return events


def _move_on(endpoint: WebhookEndpoint, newest: int, *, seen: int, now: datetime) -> None:
    """Note how far it is: this look was complete up to `seen`."""
    if endpoint.mark is not None and endpoint.marked_at is not None:
        if now < endpoint.marked_at + GRACE:
            return
        endpoint.settled = max(endpoint.settled, min(endpoint.mark, seen))
        if endpoint.settled < endpoint.mark:  # there is more than there was room for
            endpoint.save(update_fields=["settled"])
            return
    endpoint.mark, endpoint.marked_at = newest, now
    endpoint.save(update_fields=["settled", "mark", "marked_at"])
