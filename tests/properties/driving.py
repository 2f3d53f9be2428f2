"""The real engine over flows whose steps say what a test wants."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from unittest.mock import patch

from towns.flows import destroy, registry
from towns.flows.outcome import Done, Fail, Flow, HandOver, Outcome, Retry, Step, Wait
from towns.flows.run import Run
from towns.models import Operation
from towns.words import OperationKind


@dataclass
class Script:
    """What the steps say: so many are done, then comes the ending; None: all of them are done."""

    ending: Outcome | None = None
    after: int = 0
    arrived: bool = False
    at: str = ""
    at_work: Callable[[], None] = lambda: None
    """Happens during the step `at`: somebody asks for something meanwhile."""
    steps: list[str] = field(default_factory=list)

    def flow_of(self, kind: str) -> Flow:
        """The flow of that kind with its own steps' names, and these answers."""
        real = registry.flow_of(kind)
        return replace(
            real,
            steps=tuple(map(self._step, real.steps)),
            undo=tuple(map(self._step, real.undo)),
            arrived=None if real.arrived is None else lambda _: self.arrived,
        )

    def _step(self, real: Step) -> Step:
        def act(run: Run) -> Outcome:
            self.steps.append(real.__name__)
            if real.__name__ == self.at:
                self.at_work()
            if not run.operation.undoing and self.ending and len(self.steps) > self.after:
                return self.ending
            if real is destroy.soft_delete:
                run.remember(snapshot="20260217T120000Z")
                return real(run)
            return Done()

        act.__name__ = real.__name__
        return act


@contextmanager
def scripted(script: Script) -> Iterator[None]:
    """Have the engine run the script."""
    with patch("towns.flows.engine.flow_of", script.flow_of):
        yield


FAULT = Fail("It can't be done.")
CALLED_OFF = Fail("Somebody wants it otherwise.", called_off=True)
LATER = Wait(5, "Not yet.")
AGAIN = Retry("Not this time.")
LOST = HandOver(OperationKind.RECOVER, "Fly has no machine of this town any more.")


def claim(operation: Operation, owner: str) -> Operation:
    """Take the lease, as a driver does; whoever had it has lost it."""
    operation.lease_owner = owner
    operation.lease_number += 1
    operation.save(update_fields=["lease_owner", "lease_number"])
    return Operation.objects.select_related("town__owner").get(pk=operation.pk)
