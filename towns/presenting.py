"""Towns and operations as JSON: the names of product.md 5.3, for the API and the commands alike."""

from datetime import datetime
from typing import Any

from django.db.models import Prefetch, QuerySet

from towns.facts import idle_facts
from towns.models import Drill, Freeze, MaintenanceWindow, Operation, Town
from towns.models.health import FIGURES
from towns.policy import awake_because, idle_stop_at
from towns.rules import idle_rules
from towns.standing import Standing
from towns.words import ACTIVE, OperationState, Status

_OPEN = "prefetched_open_operations"
_AS_THEY_ARE = (
    "name",
    "region",
    "status",
    "status_reason",
    "desired_state",
    "stop_reason",
    "machine_id",
    "volume_id",
    "consecutive_failures",
    "idle_timeout_minutes",
    "auto_stop",
    "last_interaction_kind",
)
_MOMENTS = (
    "last_heartbeat_at",
    "last_checked_at",
    "last_interaction_at",
    "last_backup_at",
    "keep_awake_until",
    "destroyed_at",
    "restore_until",
    "created_at",
)


def presentable(towns: QuerySet[Town]) -> QuerySet[Town]:
    """Have the owner and the operation under way read with the towns: three statements in all."""
    under_way = Operation.objects.filter(state=OperationState.OPEN)
    return towns.select_related("owner").prefetch_related(
        Prefetch("operations", queryset=under_way, to_attr=_OPEN)
    )


def open_operation(town: Town) -> Operation | None:
    """The operation under way of a town, prefetched by `presentable` or asked for now."""
    found: list[Operation] | None = getattr(town, _OPEN, None)
    if found is not None:
        return found[0] if found else None
    return town.operations.filter(state=OperationState.OPEN).first()


def town_facts(town: Town, *, now: datetime) -> dict[str, Any]:
    """A town as the JSON document of product.md 5.3. Ready for `json.dumps`."""
    facts, rules = idle_facts(town), idle_rules()
    awake = Status(town.status) in ACTIVE
    stop_at = idle_stop_at(facts, now, rules) if awake else None
    operation = open_operation(town)
    return {
        "id": str(town.pk),
        "owner": town.owner.get_username(),
        **{name: getattr(town, name) for name in _AS_THEY_ARE},
        **{name: iso(getattr(town, name)) for name in _MOMENTS},
        "idle_stop_at": iso(stop_at),
        "awake_because": [str(hold) for hold in awake_because(facts, now, rules)] if awake else [],
        "health": {name: town.figure(name) for name in FIGURES},
        "operation": None if operation is None else operation_under_way(operation),
    }


def operation_under_way(operation: Operation) -> dict[str, Any]:
    """What a town's document says of the operation under way."""
    return {
        "id": str(operation.pk),
        "kind": operation.kind,
        "step": operation.step,
        "attempt": operation.attempt,
        "started_at": iso(operation.created_at),
        "next_attempt_at": iso(operation.due_at) if operation.is_open else None,
    }


def operation_facts(operation: Operation) -> dict[str, Any]:
    """An operation in full, under way or finished. Ready for `json.dumps`."""
    return {
        **operation_under_way(operation),
        "town": str(operation.town_id),
        "state": operation.state,
        "message": operation.message,
        "actor": operation.actor,
        "automatic": operation.automatic,
        "reason": operation.reason,
        "finished_at": iso(operation.finished_at),
        "successor": str(operation.successor_id) if operation.successor_id else None,
        "log": operation.log,
    }


def standing_facts(standing: Standing) -> dict[str, Any]:
    """What holds automation back, or will. Ready for `json.dumps`."""
    freezes = [one for one in (standing.freeze, standing.recovery) if one is not None]
    windows = sorted(standing.windows, key=lambda one: (one.since, one.pk))
    return {
        "freezes": [_halt(one) for one in freezes],
        "breakers": [
            {
                "scope": one.scope,
                "state": one.state,
                "reason": one.reason,
                "opened_at": iso(one.opened_at),
            }
            for one in standing.breakers.values()
        ],
        "windows": [{"id": one.pk, **_halt(one)} for one in windows],
    }


def _halt(one: Freeze | MaintenanceWindow) -> dict[str, Any]:
    return {
        "scope": one.scope,
        "reason": one.reason,
        "actor": one.actor,
        "since": iso(one.since),
        "until": iso(one.until),
    }


def last_drill(town: Town) -> Drill | None:
    """The newest drill of a town that has a result."""
    return town.drills.exclude(result="").first()


def drill_facts(drill: Drill | None) -> dict[str, Any] | None:
    """A restore drill and what it proved. Ready for `json.dumps`."""
    if drill is None:
        return None
    return {
        "id": str(drill.pk),
        "snapshot": drill.snapshot,
        "result": drill.result,
        "reason": drill.reason,
        "fell_back_to": drill.fell_back_to,
        "bytes": drill.bytes,
        "seconds": drill.seconds,
        "automatic": drill.automatic,
        "began_at": iso(drill.began_at),
        "finished_at": iso(drill.finished_at),
    }


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC, as in `2026-02-17T12:00:00Z`."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
