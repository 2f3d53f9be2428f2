"""What is known of a town over time, operations and alerts: pages, the newest first."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Query, Router, Schema
from pydantic import Field

from towns.api.access import ApiRequest, visible_town
from towns.api.paging import ALERTS, BACKUPS, CHECKS, EVENTS, OPERATIONS, Page, Paging
from towns.api.problems import not_found
from towns.api.shapes import AlertOut, BackupOut, CheckOut, DrillOut, EventOut, OperationOut
from towns.api.towns import noted
from towns.models import Alert, Backup, HealthCheck, LifecycleEvent, Operation, Town
from towns.presenting import drill_facts, iso, last_drill, operation_facts
from towns.scopes import Scope
from towns.words import CheckResult, InteractionKind, OperationKind, OperationState

router = Router(tags=["history"])


def _town(request: ApiRequest, town_id: UUID, peek: bool) -> Town:
    town = visible_town(request.auth, town_id)
    noted(request.auth, town, InteractionKind.API, peek=peek)
    return town


class CheckFilter(Schema):
    """Which checks."""

    result: CheckResult | None = None


@router.get("/towns/{uuid:town_id}/health", response=Page[CheckOut], summary="Health checks")
def health(
    request: ApiRequest,
    town_id: UUID,
    filters: Query[CheckFilter],
    paging: Query[Paging],
    peek: bool = False,
) -> dict[str, Any]:
    """Each probe and what it said."""
    found = HealthCheck.objects.filter(town=_town(request, town_id, peek))
    if filters.result is not None:
        found = found.filter(result=filters.result)
    rows, cursor = CHECKS.page(found, paging)
    items = [
        {
            **_plain(one, "id", "checked_at", "result", "kind", "reason", "latency_ms"),
            "figures": one.figures(),
        }
        for one in rows
    ]
    return {"items": items, "next_cursor": cursor}


class EventFilter(Schema):
    """Which events."""

    kind: str | None = Field(None, max_length=40)


@router.get("/towns/{uuid:town_id}/events", response=Page[EventOut], summary="Lifecycle events")
def events(
    request: ApiRequest,
    town_id: UUID,
    filters: Query[EventFilter],
    paging: Query[Paging],
    peek: bool = False,
) -> dict[str, Any]:
    """Who, what, from, to, why."""
    found = LifecycleEvent.objects.filter(town=_town(request, town_id, peek))
    if filters.kind is not None:
        found = found.filter(kind=filters.kind)
    rows, cursor = EVENTS.page(found, paging)
    names = ("id", "at", "kind", "from_status", "to_status", "actor", "automatic", "reason", "data")
    items = [{**_plain(one, *names), "operation": one.operation_id} for one in rows]
    return {"items": items, "next_cursor": cursor}


class OperationFilter(Schema):
    """Which operations."""

    kind: OperationKind | None = None
    state: OperationState | None = None


@router.get("/towns/{uuid:town_id}/operations", response=Page[OperationOut], summary="Operations")
def operations(
    request: ApiRequest,
    town_id: UUID,
    filters: Query[OperationFilter],
    paging: Query[Paging],
    peek: bool = False,
) -> dict[str, Any]:
    """What was done with it, step by step."""
    found = Operation.objects.filter(town=_town(request, town_id, peek))
    for name in ("kind", "state"):
        if (value := getattr(filters, name)) is not None:
            found = found.filter(**{name: value})
    rows, cursor = OPERATIONS.page(found, paging)
    return {"items": [operation_facts(one) for one in rows], "next_cursor": cursor}


class BackupPage(Page[BackupOut]):
    """Backups, and whether they are known to restore."""

    last_drill: DrillOut | None


@router.get("/towns/{uuid:town_id}/backups", response=BackupPage, summary="Backups")
def backups(
    request: ApiRequest, town_id: UUID, paging: Query[Paging], peek: bool = False
) -> dict[str, Any]:
    """Snapshots that we have verified, and the last restore drill: whether they restore."""
    town = _town(request, town_id, peek)
    rows, cursor = BACKUPS.page(Backup.objects.filter(town=town), paging)
    names = (
        "id",
        "snapshot",
        "kind",
        "created_at",
        "verified_at",
        "bytes",
        "files",
        "held",
        "gone_at",
    )
    return {
        "items": [_plain(one, *names) for one in rows],
        "next_cursor": cursor,
        "last_drill": drill_facts(last_drill(town)),
    }


@router.get("/operations/{uuid:operation_id}", response=OperationOut, summary="An operation")
def operation(request: ApiRequest, operation_id: UUID) -> dict[str, Any]:
    """One operation; asking for it is no interaction, since pollers do."""
    found = Operation.objects.filter(pk=operation_id).select_related("town").first()
    if found is None:
        raise not_found("operation")
    request.auth.needs(Scope.READ)
    if not request.auth.owns(found.town) and not request.auth.holds("view_town"):
        raise not_found("operation")
    return operation_facts(found)


class AlertFilter(Schema):
    """Which alerts; the open ones unless `resolved` says otherwise."""

    resolved: bool | None = False
    cause: str | None = Field(None, max_length=40)
    severity: Alert.Severity | None = None


@router.get("/alerts", response=Page[AlertOut], summary="Alerts")
def list_alerts(
    request: ApiRequest, filters: Query[AlertFilter], paging: Query[Paging]
) -> dict[str, Any]:
    """Owners see those of their own towns, staff all and the fleet's."""
    caller = request.auth
    caller.needs(Scope.FLEET if caller.is_machine else Scope.READ)
    found = Alert.objects.all()
    if not caller.is_machine and not caller.holds("view_town"):
        found = found.filter(town__owner=caller.user)
    if filters.resolved is not None:
        found = found.filter(resolved_at__isnull=not filters.resolved)
    for name in ("cause", "severity"):
        if (value := getattr(filters, name)) is not None:
            found = found.filter(**{name: value})
    rows, cursor = ALERTS.page(found, paging)
    names = (
        "id",
        "subject",
        "cause",
        "severity",
        "message",
        "opened_at",
        "resolved_at",
        "resolution",
    )
    items = [{**_plain(one, *names), "town": one.town_id} for one in rows]
    return {"items": items, "next_cursor": cursor}


def _plain(row: object, *names: str) -> dict[str, Any]:
    """Fields by name, with times as ISO 8601."""
    values = {name: getattr(row, name) for name in names}
    return {
        name: iso(value) if isinstance(value, datetime) else value for name, value in values.items()
    }
