"""Reading what is recorded, a few towns at a time: memory stays the same for any fleet."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from towns.models import (
    Alert,
    Freeze,
    HealthCheck,
    LifecycleEvent,
    MaintenanceWindow,
    Sweep,
    Town,
)
from towns.replay.past import Choices, Moved, Pauses, Seen, Spans, TownPast
from towns.standing import FLEET, window_scopes
from towns.words import CheckResult, Status

BATCH = 100
"""Towns read at once; of their checks only one town's are in memory."""
ROWS = 5000
_CHECK = (
    "town_id",
    "checked_at",
    "result",
    "polecats_active",
    "merge_queue",
    "last_interaction_at",
    "connected",
)
_EVENT = (
    "town_id",
    "at",
    "kind",
    "from_status",
    "to_status",
    "automatic",
    "data__rule",
    "data__last_interaction_at",
)
_CHOICES = (
    "idle_timeout_minutes",
    "auto_stop",
    "keep_awake_until",
    "hold_reason",
    "hold_until",
    "restarts_cleared_at",
)


def towns_of(
    since: datetime, only: Sequence[UUID] | None = None, region: str = ""
) -> QuerySet[Town]:
    """The towns that lived in the span, by key, perhaps of one region; or just those named,
    whenever they lived."""
    if only is not None:
        return Town.objects.filter(pk__in=only).order_by("pk")
    found = Town.objects.filter(Q(destroyed_at=None) | Q(destroyed_at__gt=since)).order_by("pk")
    return found.filter(region=region) if region else found


def next_towns(found: QuerySet[Town], after: UUID | None, count: int = BATCH) -> list[Town]:
    """The next few by key, with just the columns that a replay needs."""
    if after is not None:
        found = found.filter(pk__gt=after)
    app = ("fly_app", "machine_id", "volume_id")
    columns = ("name", "owner__username", "region", "image", "status", *app, *_CHOICES)
    return list(found.select_related("owner").only(*columns)[:count])


def read_pasts(
    towns: Sequence[Town], begins: datetime, until: datetime, pauses: Pauses
) -> Iterator[TownPast]:
    """What is recorded of some towns in their order, from three statements; the checks come one
    town after the other from a cursor of the database."""
    ids = [town.pk for town in towns]
    moves = _by_town(_status_events(ids, begins, until))
    chosen = _by_town(_changes(ids, begins))
    checks = groupby(_checks(ids, begins, until), key=lambda row: row[0])
    ready: tuple[UUID, Iterator[tuple[Any, ...]]] | None = next(checks, None)
    for town in towns:
        seen: list[Seen] = []
        if ready is not None and ready[0] == town.pk:
            seen = [_seen(row) for row in ready[1]]
            ready = next(checks, None)
        yield _past(town, begins, until, seen, moves, chosen, pauses)


def _past(
    town: Town,
    begins: datetime,
    until: datetime,
    seen: list[Seen],
    moves: dict[UUID, list[Any]],
    chosen: dict[UUID, list[Any]],
    pauses: Pauses,
) -> TownPast:
    mine = [_moved(row) for row in moves.get(town.pk, [])]
    first, later = _choices(town, chosen.get(town.pk, []))
    return TownPast(
        town=town.pk,
        name=str(town),
        begins=begins,
        status=Status(mine[0].came_from if mine else town.status),
        choices=first,
        checks=seen,
        moves=mine,
        chosen=[one for one in later if one[0] <= until],
        pauses=pauses.over(window_scopes(town)),
    )


def _checks(ids: Sequence[UUID], begins: datetime, until: datetime) -> Iterator[tuple[Any, ...]]:
    return (
        HealthCheck.objects.filter(town__in=ids, checked_at__gte=begins, checked_at__lte=until)
        .order_by("town_id", "checked_at", "id")
        .values_list(*_CHECK)
        .iterator(ROWS)
    )


def _seen(row: tuple[Any, ...]) -> Seen:
    _, at, result, polecats, queue, interaction_at, connected = row
    return Seen(at, CheckResult(result), polecats, queue, interaction_at, connected)


def _status_events(
    ids: Sequence[UUID], begins: datetime, until: datetime
) -> Iterator[tuple[Any, ...]]:
    events = LifecycleEvent.objects.filter(town__in=ids, at__gte=begins, at__lte=until)
    rows = events.exclude(to_status="").order_by("id").values_list(*_EVENT)
    return iter(rows)


def _moved(row: tuple[Any, ...]) -> Moved:
    _, at, kind, came_from, status, automatic, rule, interaction = row
    return Moved(
        at=at,
        kind=kind,
        came_from=came_from,
        status=Status(status),
        automatic=automatic,
        rule=rule or "",
        interaction_at=datetime.fromisoformat(interaction) if interaction else None,
    )


def _changes(ids: Sequence[UUID], begins: datetime) -> Iterator[tuple[Any, ...]]:
    """To the present, since the row of the town says what holds now."""
    events = LifecycleEvent.objects.filter(town__in=ids, at__gte=begins, kind="changed")
    return iter(events.order_by("id").values_list("town_id", "at", "data"))


def _choices(town: Town, changes: Sequence[tuple[Any, ...]]) -> tuple[Choices, list[Any]]:
    """What was chosen at the beginning, from what is now and each change undone, and then each
    later choice."""
    first = Choices(**{name: getattr(town, name) for name in _CHOICES})
    for _, _, data in reversed(changes):
        first = first.changed({name: one["from"] for name, one in _named(data)})
    later, current = [], first
    for _, at, data in changes:
        current = current.changed({name: one["to"] for name, one in _named(data)})
        later.append((at, current))
    return first, later


def _named(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, one) for name, one in data.items() if name in _CHOICES)


def _by_town(rows: Iterator[tuple[Any, ...]]) -> dict[UUID, list[Any]]:
    found: dict[UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return found


def idle_moments(begins: datetime, until: datetime) -> list[datetime]:
    """When the idle sweep looked at the fleet."""
    sweeps = Sweep.objects.filter(
        kind=Sweep.Kind.IDLE, started_at__gte=begins, started_at__lte=until
    )
    return list(sweeps.order_by("started_at").values_list("started_at", flat=True))


def read_pauses(begins: datetime, breakers: dict[str, Spans] | None = None) -> Pauses:
    """When automation was held back, in three statements; `breakers` in place of those that really
    stood."""
    spans: dict[str, list[tuple[datetime, datetime | None]]] = {}
    freezes = Freeze.objects.filter(scope=Freeze.Scope.ALL)
    for since, until, thawed in freezes.values_list("since", "until", "thawed_at"):
        spans.setdefault(FLEET, []).append((since, _earlier(until, thawed)))
    windows = MaintenanceWindow.objects.filter(until__gt=begins)
    for scope, since, until, ended in windows.values_list("scope", "since", "until", "ended_at"):
        spans.setdefault(scope, []).append((since, _earlier(until, ended)))
    stood = breakers if breakers is not None else _real_breakers(begins)
    for scope, over in stood.items():
        spans.setdefault(scope, []).extend(over)
    return Pauses(spans)


def _real_breakers(begins: datetime) -> dict[str, Spans]:
    """The alert of a breaker stands as long as the breaker itself does."""
    alerts = Alert.objects.filter(Q(resolved_at=None) | Q(resolved_at__gt=begins))
    found: dict[str, list[tuple[datetime, datetime | None]]] = {}
    rows = alerts.filter(cause="platform_down").values_list("subject", "opened_at", "resolved_at")
    for scope, opened, resolved in rows:
        found.setdefault(scope, []).append((opened, resolved))
    return dict(found)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, (one, other)), default=None)
