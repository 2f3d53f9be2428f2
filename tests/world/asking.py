"""Short words for tests: ask for an operation, and see what became of it."""

from typing import Any

from towns import actions
from towns.actions import Requested
from towns.history import Actor
from towns.models import Alert, LifecycleEvent, Operation, Town
from towns.words import OperationKind

from .world import SHELL, World

RULE = Actor.automation("rule:test")
_REQUESTS = {
    OperationKind.START: actions.request_start,
    OperationKind.STOP: actions.request_stop,
    OperationKind.RESTART: actions.request_restart,
    OperationKind.RECOVER: actions.request_recover,
    OperationKind.DESTROY: actions.request_destroy,
    OperationKind.RESTORE: actions.request_restore,
    OperationKind.BACKUP: actions.request_backup,
    OperationKind.DRILL: actions.request_drill,
}


def ask(world: World, town: Town, kind: str, *, actor: Actor = SHELL, **more: Any) -> Requested:
    """Ask for an operation now, through the one door."""
    request: Any = _REQUESTS[OperationKind(kind)]
    requested: Requested = request(town.pk, actor=actor, now=world.now, **more)
    return requested


def ask_and_settle(
    world: World, town: Town, kind: str, *, seconds: float = 3600, **more: Any
) -> Operation:
    """Ask, drive until nothing is under way, and return the operation; `town` is read anew."""
    requested = ask(world, town, kind, **more)
    world.settle(seconds)
    town.refresh_from_db()
    requested.operation.refresh_from_db()
    return requested.operation


def newest(town: Town, kind: str | None = None) -> Operation:
    """The newest operation of a town, or of that kind."""
    operations = Operation.objects.filter(town=town).order_by("-created_at", "-lease_number")
    if kind is not None:
        operations = operations.filter(kind=kind)
    found = operations.first()
    assert found is not None, f"{town.name} never had an operation {kind or ''}"
    return found


def event(town: Town, kind: str) -> LifecycleEvent:
    """The newest event of that kind."""
    found = LifecycleEvent.objects.filter(town=town, kind=kind).first()
    kinds = list(LifecycleEvent.objects.filter(town=town).values_list("kind", flat=True))
    assert found is not None, f"no event {kind}, only {kinds}"
    return found


def causes(town: Town) -> set[str]:
    """The causes of a town's open alerts."""
    return set(Alert.objects.filter(town=town, resolved_at=None).values_list("cause", flat=True))


def state(town: Town) -> tuple[str, str]:
    """The status and the desired state of a town, read anew."""
    town.refresh_from_db()
    return town.status, town.desired_state
