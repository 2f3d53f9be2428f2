"""What goes wrong with our calls to the outside, and with the process that makes them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatch

from towns.services.errors import Unavailable

from .app import asked_app
from .timeline import Timeline


class Killed(BaseException):
    """`kill -9` of the worker: nothing after it runs, and nobody catches it."""


class Moment(StrEnum):
    """Whether a fault strikes before the call has its effect, or after."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of ours to the outside, such as `fly.create_machine`."""

    name: str
    subject: str
    at: datetime
    app: str | None = None
    """The Fly app that is asked."""


@dataclass(slots=True)
class _Rule:
    pattern: str
    error: BaseException
    moment: Moment
    times: int | None
    skip: int
    app: str | None


Hook = Callable[[Call, Moment], None]


class Faults:
    """Notes every external call, and makes the chosen ones fail."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._rules: list[_Rule] = []
        self.calls: list[Call] = []
        self.hooks: list[Hook] = []
        self.fly_down = False
        self.r2_down = False
        self.sandboxes_down = False

    def fail(
        self,
        pattern: str,
        error: BaseException,
        *,
        moment: Moment = Moment.BEFORE,
        times: int | None = 1,
        skip: int = 0,
        app: str | None = None,
    ) -> None:
        """Have calls of that name (`fly.*` matches many) raise: so many `times`, None for always.

        The first `skip` calls pass, and those to another `app` if one is named.
        """
        self._rules.append(_Rule(pattern, error, moment, times, skip, app))

    def clear(self) -> None:
        """Mend everything."""
        self._rules.clear()
        self.fly_down = self.r2_down = self.sandboxes_down = False

    def names(self) -> list[str]:
        """The names of all calls so far, in order."""
        return [call.name for call in self.calls]

    def count(self, name: str) -> int:
        """How often a call of that name was made, also when it failed."""
        return sum(call.name == name for call in self.calls)

    def before(self, name: str, subject: str) -> Call:
        """A call begins; raises what it is to fail with."""
        call = Call(name, subject, self._timeline.now(), asked_app.get())
        self.calls.append(call)
        self._strike(call, Moment.BEFORE)
        if self.fly_down and name.startswith("fly."):
            raise Unavailable("Fly did not answer.")
        if self.r2_down and name.startswith("r2."):
            raise Unavailable("R2 did not answer.")
        if self.sandboxes_down and name.startswith("sandbox."):
            raise Unavailable("The sandbox did not answer.")
        return call

    def after(self, call: Call) -> None:
        """A call had its effect; raises if its answer is to be lost."""
        self._strike(call, Moment.AFTER)

    def _strike(self, call: Call, moment: Moment) -> None:
        for hook in self.hooks:
            hook(call, moment)
        for rule in self._rules:
            if rule.moment != moment or not fnmatch(call.name, rule.pattern) or rule.times == 0:
                continue
            if rule.app not in (None, call.app):
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            if rule.times is not None:
                rule.times -= 1
            raise rule.error
