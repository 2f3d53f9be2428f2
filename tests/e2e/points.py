"""Points at which a worker can be killed: the beginning of a step, and both sides of every request
that leaves the process.

Requests are met where all of our clients meet, in urllib3. So no list of calls is kept anywhere: a
flow that asks for something new has its points by itself, whichever client asks.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any, Self
from unittest import mock
from urllib.parse import unquote
from zlib import crc32

AT, BEFORE, AFTER = "at", "before", "after"
STEP = "the step"
LOOKS = ("GET ", "HEAD ")
_NAMES = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "{id}"),
    (re.compile(r"\bvol_[0-9a-z]+"), "{volume}"),
    (re.compile(r"\b[0-9a-f]{14}\b"), "{machine}"),
    (re.compile(r"\b[0-9]{8}T[0-9]{6}Z\b"), "{snapshot}"),
)


@dataclass(frozen=True, slots=True)
class Point:
    """Just `side` the `number`th request of that name within one run of a step."""

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
    def only_looks(self) -> bool:
        """Whether it is a request that changes nothing outside."""
        return self.call.startswith(LOOKS)

    def __str__(self) -> str:
        return f"{self.side} {self.call} #{self.number} in {self.step}"


@dataclass(frozen=True, slots=True)
class Slice:
    """Of all points those that are killed at: around every request that changes something, and a
    share of the others, which the seed draws. A share of 1 is all of them."""

    share: float = 1.0
    seed: int = 0

    def has(self, point: Point) -> bool:
        """Whether it is killed at."""
        if point.side != AT and not point.only_looks:
            return True
        return crc32(f"{self.seed} {point}".encode()) < self.share * 2**32


def name_of(method: str, url: str) -> str:
    """What a request is called: the same for every town, machine, volume and snapshot."""
    text = unquote(url)
    for pattern, name in _NAMES:
        text = pattern.sub(name, text)
    return f"{method} {text}"


class Watch:
    """Tells `reached` of every point that this process comes to, at the moment it comes to it.

    For processes that drive one operation at a time. A request that got no answer has no `after`:
    one that was refused, say, by a machine that still boots.
    """

    def __init__(self, reached: Callable[[Point], None]) -> None:
        self._reached = reached
        self._step = "no step"
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._inside = threading.local()

    def install(self) -> None:
        """Watch the steps and the requests of this process from now on."""
        from urllib3.connectionpool import HTTPConnectionPool

        from towns.flows import engine

        advance, urlopen = engine._advance, HTTPConnectionPool.urlopen

        def advancing(run: Any) -> bool:
            self._step, self._counts = run.operation.step, {}
            self._reached(Point(self._step, STEP, 1, AT))
            return advance(run)

        def opening(pool: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            if getattr(self._inside, "one", False):  # it calls itself, to try again
                return urlopen(pool, method, url, *args, **kwargs)
            self._inside.one = True
            try:
                before, after = self._both_sides(name_of(method, url))
                self._reached(before)
                answer = urlopen(pool, method, url, *args, **kwargs)
                self._reached(after)
                return answer
            finally:
                self._inside.one = False

        mock.patch.object(engine, "_advance", advancing).start()
        mock.patch.object(HTTPConnectionPool, "urlopen", opening).start()

    def _both_sides(self, call: str) -> tuple[Point, Point]:
        with self._lock:  # a copy in R2 is made by threads of its own
            number = self._counts[call] = self._counts.get(call, 0) + 1
        return Point(self._step, call, number, BEFORE), Point(self._step, call, number, AFTER)
