"""How an operation begins."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from towns import history
from towns.flows.outcome import Flow
from towns.flows.registry import flow_of
from towns.models import Operation, Town
from towns.models.town import LIVING
from towns.words import TRANSITIONS, OperationKind


def begin(
    town: Town,
    kind: OperationKind,
    *,
    actor: history.Actor,
    now: datetime,
    reason: str = "",
    params: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> Operation:
    """Create an operation, change the town's status with its event, and call for a driver.

    Not to be used alone: the caller holds the town's row lock in a transaction, has checked the
    status table, and knows that no operation is open.
    """
    flow = flow_of(kind)
    operation = Operation.objects.create(
        town=town,
        kind=kind,
        step=flow.steps[0].__name__,
        actor=actor.name,
        user_id=actor.user_id,
        automatic=actor.automatic,
        reason=reason,
        params=params or {},
        status_before=town.status,
        created_at=now,
        due_at=now,
        deadline_at=deadline_of(flow, now),
    )
    during = TRANSITIONS[kind].during
    if during is None:
        history.record(
            town, kind, actor=actor, now=now, reason=reason, operation=operation, data=data
        )
    else:
        history.change_status(
            town,
            during,
            kind=kind,
            actor=actor,
            now=now,
            reason=reason,
            operation=operation,
            data=data,
        )
    call_driver()
    return operation


def deadline_of(flow: Flow, now: datetime) -> datetime | None:
    """When a run of the flow that begins now has to be done; None for one without a deadline."""
    if flow.deadline is None:
        return None
    return now + timedelta(minutes=getattr(settings, flow.deadline))


def has_living_namesake(town: Town) -> bool:
    """Whether another town of the same owner, that isn't soft-deleted, has this town's name."""
    namesakes = Town.objects.filter(LIVING, owner_id=town.owner_id, name=town.name)
    return namesakes.exclude(pk=town.pk).exists()


def call_driver() -> None:
    """Enqueue a task that drives operations, once this transaction has committed.

    A broker that can't be reached loses nothing: a schedule calls for a driver every minute.
    """
    from django_q.tasks import async_task  # here, since it reads the broker's settings

    transaction.on_commit(lambda: async_task("towns.tasks.drive"), robust=True)


def drive_soon(**_: Any) -> None:
    """Signal handler: a worker process that begins, perhaps in place of a killed one, sees to what
    that one held."""
    call_driver()
