"""A stamp for each topic that a page may show: it differs when what is shown has changed.

A topic is `fleet`, or `town:` and an id.
"""

from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db.models import Max, OuterRef, Subquery

from towns.models import Alert, LifecycleEvent, Operation, Sweep, Town
from towns.words import OperationState

FLEET = "fleet"
_TOWN = "town:"
_SHOWN = (
    "status",
    "desired_state",
    "last_checked_at",
    "last_interaction_at",
    "last_backup_at",
    "idle_timeout_minutes",
    "auto_stop",
    "keep_awake_until",
    "hold_reason",
)


def town_topic(town_id: UUID) -> str:
    """The topic of all that a town's page shows."""
    return f"{_TOWN}{town_id}"


def read_stamps(topics: Collection[str]) -> Mapping[str, str]:
    """The stamps as they are now, in at most five statements however many topics there are."""
    found = {}
    if FLEET in topics:
        found[FLEET] = _digest(_fleet())
    ids = [UUID(topic.removeprefix(_TOWN)) for topic in topics if topic.startswith(_TOWN)]
    if ids:
        found |= {town_topic(pk): _digest(parts) for pk, parts in _towns(ids).items()}
    return found


def _fleet() -> list[Any]:
    """Whatever changes in the fleet is an event, or found by a sweep."""
    return [
        LifecycleEvent.objects.aggregate(newest=Max("id"))["newest"],
        *Sweep.objects.order_by("-pk").values_list("pk", "finished_at")[:4],
    ]


def _towns(ids: list[UUID]) -> dict[UUID, list[Any]]:
    parts: dict[UUID, list[Any]] = {pk: [] for pk in ids}
    events = LifecycleEvent.objects.filter(town=OuterRef("pk")).order_by("-id").values("id")[:1]
    towns = Town.objects.filter(pk__in=ids).annotate(newest=Subquery(events))
    for pk, *shown in towns.values_list("pk", *_SHOWN, "newest"):
        parts[pk].extend(shown)
    under_way = Operation.objects.filter(town__in=ids, state=OperationState.OPEN)
    steps = ("town_id", "pk", "step", "attempt", "message", "due_at")
    for pk, *step in under_way.order_by("pk").values_list(*steps):
        parts[pk].extend(step)
    alerts = Alert.objects.filter(town__in=ids, resolved_at=None)
    for pk, alert in alerts.order_by("pk").values_list("town_id", "pk"):
        if pk is not None:
            parts[pk].append(alert)
    return parts


def _digest(parts: list[Any]) -> str:
    return sha256(repr(parts).encode()).hexdigest()[:16]
