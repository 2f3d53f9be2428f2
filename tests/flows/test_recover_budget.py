"""Recoveries and the fleet-wide budget of restarts, when several workers look at once."""

import threading
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from tests.world import World
from tests.world.asking import RULE, ask
from towns import budgets
from towns.automation import hold_recovery
from towns.flows import driver, recover
from towns.flows.run import Run
from towns.models import Operation


@pytest.mark.django_db(transaction=True)
@override_settings(GASTOWN_RESTARTS_AT_ONCE=1)
def test_two_workers_that_look_at_the_same_moment_do_not_take_the_same_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have seen that there is room before either goes on."""
    towns = [world.stopped_town(f"town-{number}") for number in range(2)]
    for town in towns:
        world.lose_host(town)
        ask(world, town, "recover", actor=RULE)
    gate = threading.Barrier(2)

    def together(*args: Any) -> str | None:
        found = hold_recovery(*args)
        gate.wait(30)
        return found

    monkeypatch.setattr(recover, "hold_recovery", together)
    claimed = driver.claim(world.now, owner="both", limit=2)
    steps: list[str] = []

    def work(operation: Operation) -> None:
        try:
            run = Run(operation=operation, town=operation.town, services=world.services)
            recover.hold_if_frozen(run)
            steps.append(operation.step)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=[one]) for one in claimed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(steps) == [budgets.RECOVERY_IS_HELD, "prove_what_is_lost"]
