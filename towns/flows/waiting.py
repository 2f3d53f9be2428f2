"""Waiting for operations, which drives them where no worker does."""

import time
from collections.abc import Callable, Sequence
from uuid import UUID

from towns.flows.driver import drive_once
from towns.models import Operation
from towns.services import Services

POLL_SECONDS = 0.5


def wait_for(
    operations: Sequence[Operation],
    services: Services,
    *,
    on_change: Callable[[Operation], None] = lambda _operation: None,
    pause: Callable[[float], None] = time.sleep,
) -> list[Operation]:
    """For each, the last operation of the chain that it begins, once its town rests.

    Works with and without workers: whatever is due and in nobody's hand is driven here, step by
    step in turn. `on_change` hears of each new step, attempt and message.
    """
    at: list[UUID] = [operation.pk for operation in operations]
    ended: dict[UUID, Operation] = {}
    told: dict[UUID, tuple[object, ...]] = {}
    while pending := [pk for pk in at if pk not in ended]:
        drove = 0
        for operation in _read(pending):
            pk = operation.pk
            news = (operation.state, operation.step, operation.attempt, operation.message)
            if told.get(pk) != news:
                told[pk] = news
                on_change(operation)
            if operation.is_open:
                drove += drive_once(services, only=pk)
            elif operation.successor_id is None:
                ended[pk] = operation
            else:
                at = [operation.successor_id if one == pk else one for one in at]
                drove += 1
        if not drove and len(ended) < len(set(at)):
            pause(POLL_SECONDS)
    return [ended[pk] for pk in at]


def _read(pks: Sequence[UUID]) -> list[Operation]:
    found = Operation.objects.select_related("town__owner").in_bulk(pks)
    return [found[pk] for pk in dict.fromkeys(pks)]
