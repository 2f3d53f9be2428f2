"""The threads that run claimed operations."""

import uuid

import pytest

from tests.world import World
from towns.flows import driver
from towns.models import Operation
from towns.services import Services


def test_each_operation_waits_as_was_said_when_it_was_claimed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not as is said of those that are claimed later, while it still stands in the queue."""
    waits: dict[uuid.UUID, float] = {}

    def run(operation: Operation, _services: Services, *, least_wait: float) -> None:
        waits[operation.pk] = least_wait

    monkeypatch.setattr(driver, "run_claimed", run)
    many, few, none = (Operation(lease_number=1) for _ in range(3))
    with driver.Crew(World().services, size=1) as crew:
        crew.submit(many, least_wait=40.0)
        crew.submit(few, least_wait=0.5)
        crew.submit(none)

    assert waits == {many.pk: 40.0, few.pk: 0.5, none.pk: 0.0}
