"""Waiting for an operation, which drives it where no worker does."""

import time
from collections.abc import Callable
from uuid import UUID

from towns.flows.driver import drive_once
from towns.models import Operation
from towns.services import Services

POLL_SECONDS = 0.5


def wait_for(
    operation: Operation,
    services: Services,
    *,
    on_change: Callable[[Operation], None] = lambda _operation: None,
    pause: Callable[[float], None] = time.sleep,
) -> Operation:
    """Return the last operation of the chain that `operation` begins, once the town rests.

    Works with and without workers: whatever is due and in nobody's hand is driven here.
    `on_change` hears of each new step, attempt and message.
    """
    pk, told = operation.pk, None
    while True:
        operation = _read(pk)
        news = (pk, operation.state, operation.step, operation.attempt, operation.message)
        if news != told:
            told = news
            on_change(operation)
        if not operation.is_open:
            if operation.successor_id is None:
                return operation
            pk = operation.successor_id
        elif not drive_once(services, only=pk):
            pause(POLL_SECONDS)


def _read(pk: UUID) -> Operation:
    return Operation.objects.select_related("town__owner").get(pk=pk)
