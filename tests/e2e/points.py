"""Points at which a worker can be killed: the start of a step, and both sides of every call that
leaves the process."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import wraps
from typing import Any, Self

AT, BEFORE, AFTER = "at", "before", "after"
STEP = "the step"
CHANGES = frozenset(
    {
        "fly.create_machine",
        "fly.start_machine",
        "fly.stop_machine",
        "fly.restart_machine",
        "fly.destroy_machine",
        "fly.create_volume",
        "fly.destroy_volume",
        "sandbox.request_sync",
        "r2.copy_snapshot",
        "r2.write_pointer",
        "r2.empty",
        "s3.copy",
    }
)
"""Calls that change something outside; the others only look."""


@dataclass(frozen=True, slots=True)
class Point:
    """Just `side` the `number`th call of that name within one run of a step."""

    step: str
    call: str
    number: int
    side: str

    @classmethod
    def of(cls, parts: list[Any]) -> Self:
        """From JSON."""
        step, call, number, side = parts
        return cls(step, call, number, side)

    def as_json(self) -> list[Any]:
        """For JSON."""
        return list(astuple(self))

    @property
    def changes_something(self) -> bool:
        """Whether the call changes something outside."""
        return self.call.partition(" ")[0] in CHANGES

    def __str__(self) -> str:
        return f"{self.side} {self.call} #{self.number} in {self.step}"


class Watch:
    """Tells `reached` of every point that this process comes to, at the moment it comes to it.

    A call that another one makes is not told of its own, except for the copies of which copying a
    snapshot consists: it may end between any two. All others write once at most.
    """

    def __init__(self, reached: Callable[[Point], None]) -> None:
        self._reached = reached
        self._here = threading.local()

    def install(self) -> None:
        """Watch the steps and the clients of this process from now on."""
        from towns.flows import engine
        from towns.services import protocols
        from towns.services.fly import FlyClient
        from towns.services.r2 import R2Client
        from towns.services.r2_store import Store
        from towns.services.sandbox import SandboxClient

        guarded = engine._guarded

        def watched(run: Any, step: Any) -> Any:
            self._here.step, self._here.counts, self._here.depth = step.__name__, {}, 0
            self._reached(Point(step.__name__, STEP, 1, AT))
            return guarded(run, step)

        engine._guarded = watched
        clients: list[tuple[str, type, type]] = [
            ("fly", FlyClient, protocols.Fly),
            ("sandbox", SandboxClient, protocols.Sandbox),
            ("r2", R2Client, protocols.R2),
        ]
        for label, client, protocol in clients:
            for name in vars(protocol):
                if not name.startswith("_"):
                    self._wrap(client, name, f"{label}.{name}")
        self._wrap(Store, "copy", "s3.copy", inner=True)

    def _wrap(self, client: type, name: str, call: str, *, inner: bool = False) -> None:
        made = getattr(client, name)

        @wraps(made)
        def watched(*args: Any, **kwargs: Any) -> Any:
            # A copy that is there is not made again, so that it is told by its object.
            what = f"{call} {args[2].rpartition('/')[2]}" if call == "s3.copy" else call
            with self._around(what, inner=inner):
                return made(*args, **kwargs)

        setattr(client, name, watched)

    @contextmanager
    def _around(self, call: str, *, inner: bool) -> Iterator[None]:
        here = self._here
        if getattr(here, "step", None) is None or (here.depth and not inner):
            yield
            return
        number = here.counts[call] = here.counts.get(call, 0) + 1
        self._reached(Point(here.step, call, number, BEFORE))
        here.depth += 1
        try:
            yield
        finally:
            here.depth -= 1
            self._reached(Point(here.step, call, number, AFTER))
