"""What is counted as it happens."""

from typing import Any

import pytest

from tests.flows.drills import backed_up, under_way
from tests.world import World
from tests.world.asking import ask, ask_and_settle
from towns import drills
from towns.flows import engine
from towns.metrics.tally import Counts, Tally, labels_text

pytestmark = pytest.mark.django_db


class Counted:
    """A tally of this test alone."""

    def __init__(self) -> None:
        self._counts: Counts = {}
        self.tally = Tally(self._keep, lambda: 0)

    def _keep(self, counts: Counts) -> None:
        self._counts = counts

    def operations(self) -> dict[tuple[str, str], float]:
        """How many have ended, by kind and outcome."""
        self.tally.flush()
        kinds = ("provision", "stop", "backup", "drill")
        outcomes = ("succeeded", "failed", "superseded")
        found = {
            (kind, outcome): self.value("gastown_operations", kind=kind, outcome=outcome)
            for kind in kinds
            for outcome in outcomes
        }
        return {key: value for key, value in found.items() if value}

    def value(self, name: str, **labels: str) -> float:
        """Of one counter."""
        return self._counts.get((name, labels_text(labels)), 0)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    found = Counted()
    monkeypatch.setattr(engine, "tally", found.tally)
    monkeypatch.setattr(drills, "tally", found.tally)
    return found


def test_an_operation_and_its_steps(counted: Counted) -> None:
    world = World()
    town = world.running_town()
    ask_and_settle(world, town, "stop")
    assert counted.operations() == {("provision", "succeeded"): 1, ("stop", "succeeded"): 1}
    step = {"kind": "stop", "step": "stop_machine", "le": "0.1"}
    assert counted.value("gastown_step_seconds_bucket", **step) == 1


def test_one_that_fails(counted: Counted) -> None:
    world = World()
    town = world.running_town()
    world.faults.sandboxes_down = True
    ask_and_settle(world, town, "backup")
    assert counted.operations() == {("provision", "succeeded"): 1, ("backup", "failed"): 1}


def test_a_drill_that_gives_way(counted: Counted, django_capture_on_commit_callbacks: Any) -> None:
    world = World()
    town = backed_up(world)
    under_way(world, town)
    counted.operations()
    with django_capture_on_commit_callbacks(execute=True):
        ask(world, town, "stop")
    assert counted.operations() == {("drill", "superseded"): 1}
