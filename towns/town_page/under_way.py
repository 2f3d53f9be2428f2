"""How far the operation under way of a town is. Pure."""

from dataclasses import dataclass
from datetime import datetime

from towns.flows.registry import flow_of
from towns.models import Operation
from towns.readable import ago


@dataclass(frozen=True, slots=True)
class Progress:
    """Step `number` of `of`, from 1; both are 0 for a step that its flow doesn't know any more.

    `failed` counts the failed tries of this step, `message` is what it waits for or what went wrong
    last, `undoing` why it failed, while it cleans up.
    """

    kind: str
    step: str
    number: int
    of: int
    failed: int
    message: str
    undoing: str
    next_at: datetime
    taken: bool
    deadline_at: datetime | None

    def told(self, now: datetime) -> str:
        """In one line: `Stop, step 3 of 7: await snapshot. Tried 2x …`."""
        place = f", step {self.number} of {self.of}" if self.of else ""
        cleaning = ", cleaning up" if self.undoing else ""
        found = [f"{self.kind.capitalize()}{cleaning}{place}: {self.step}."]
        if self.failed:
            found.append(f"This step failed {self.failed}x, last: {_sentence(self.message)}")
        elif self.message and self.message != self.undoing:
            found.append(_sentence(self.message))
        found.append(self._next(now))
        if self.deadline_at is not None and not self.undoing:
            late = self.deadline_at <= now
            when = "is over" if late else f"ends {ago(self.deadline_at, now)}"
            found.append(f"Its time {when}.")
        return " ".join(found)

    def _next(self, now: datetime) -> str:
        if self.taken:
            return "A worker is at it now."
        what = f"Try {self.failed + 1}" if self.failed else "The next look"
        if self.next_at <= now:
            return f"{what} as soon as a worker is free."
        return f"{what} {ago(self.next_at, now)}."


def progress(operation: Operation, now: datetime) -> Progress:
    """How far it is."""
    flow = flow_of(operation.kind)
    names = [step.__name__ for step in (flow.undo if operation.undoing else flow.steps)]
    known = operation.step in names
    return Progress(
        kind=operation.kind,
        step=operation.step.replace("_", " "),
        number=names.index(operation.step) + 1 if known else 0,
        of=len(names) if known else 0,
        failed=operation.attempt,
        message=operation.message,
        undoing=operation.undoing,
        next_at=operation.due_at,
        taken=operation.lease_until is not None and operation.lease_until > now,
        deadline_at=operation.deadline_at,
    )


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
