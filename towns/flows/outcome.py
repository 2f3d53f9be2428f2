"""What a step can say, and what a flow is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from towns.words import OperationKind

if TYPE_CHECKING:
    from towns.flows.run import Run


@dataclass(frozen=True, slots=True)
class Done:
    """The step's aim is reached; the next step may begin."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is wrong; look again in `seconds`, and later the longer it takes."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Something went wrong that may get better; the attempt counts.

    `seconds` None: the flow's back-off. `back_to` names an earlier step to repeat from.
    """

    error: str
    seconds: float | None = None
    back_to: str | None = None


@dataclass(frozen=True, slots=True)
class Fail:
    """It can't be done. `called_off` tells a change of mind from a fault: no alert."""

    reason: str
    called_off: bool = False


@dataclass(frozen=True, slots=True)
class HandOver:
    """Another kind of operation has to do it, at once."""

    kind: OperationKind
    reason: str


Outcome = Done | Wait | Retry | Fail | HandOver
Step = Callable[["Run"], Outcome]

SHORT_BACKOFF = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Seconds between the attempts of a step that fails."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A named, ordered list of steps.

    `arrived` asks the outside whether the flow's aim is reached all the same, when the deadline
    is over. `undo` are steps that clean up after a failure. `deadline` names the setting, in
    minutes; None for a flow that goes on until it is done.
    """

    kind: OperationKind
    steps: tuple[Step, ...]
    deadline: str | None
    arrived: Callable[["Run"], bool] | None = None
    undo: tuple[Step, ...] = ()
    backoff: tuple[float, ...] = SHORT_BACKOFF
    alert_after: int | None = field(default=None)
    """Failed attempts of one step after which staff are alerted."""
    held_at: Step | None = None
    """A step that waits for people; the deadline counts from its end."""

    def step(self, name: str) -> Step:
        """The step of that name; KeyError when the flow has none."""
        return {step.__name__: step for step in (*self.steps, *self.undo)}[name]

    def after(self, name: str) -> str | None:
        """The name of the step that follows, or None when that was the last one."""
        for steps in (self.steps, self.undo):
            names = [step.__name__ for step in steps]
            if name in names[:-1]:
                return names[names.index(name) + 1]
        return None

    def to_come(self, name: str) -> list[str]:
        """The names of all steps that follow, in their order."""
        names: list[str] = []
        following = self.after(name)
        while following is not None:
            names.append(following)
            following = self.after(following)
        return names

    def wait_after(self, attempt: int) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 1)."""
        return self.backoff[min(attempt, len(self.backoff)) - 1]
