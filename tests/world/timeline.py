"""Virtual time: a clock that moves only when told, and what happens when it moves."""

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 2, 17, 12, 0, tzinfo=UTC)


class Timeline:
    """The clock of a world. What was planned with `later` happens while `advance` passes it.

    Plan bound methods or partials of them, not lambdas: only those are copied with a world.
    """

    def __init__(self) -> None:
        self._now = START
        self._planned: list[tuple[datetime, int, Callable[[], None]]] = []
        self._number = 0

    def now(self) -> datetime:
        """The virtual time."""
        return self._now

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen in so many seconds."""
        self._number += 1
        due = self._now + timedelta(seconds=seconds)
        heapq.heappush(self._planned, (due, self._number, action))

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.advance_to(self._now + timedelta(seconds=seconds))

    def advance_to(self, end: datetime) -> None:
        """Let time pass until then, with all that happens in between, in order."""
        while self._planned and self._planned[0][0] <= end:
            due, _, action = heapq.heappop(self._planned)
            self._now = max(self._now, due)
            action()
        self._now = max(self._now, end)
