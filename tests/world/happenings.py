"""What truly happened in a world, in order; and what must never happen."""

from dataclasses import dataclass
from datetime import datetime

from .timeline import Timeline


@dataclass(frozen=True, slots=True)
class Happening:
    """One line: when, what (`snapshot`, `gt down`, …), to which machine, volume or prefix."""

    at: datetime
    what: str
    subject: str
    detail: str = ""


class Record:
    """The log of a world, and the violations of the invariants that it saw."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.log: list[Happening] = []
        self.violations: list[str] = []

    def note(self, what: str, subject: str, detail: str = "") -> None:
        """Something happened."""
        self.log.append(Happening(self._timeline.now(), what, subject, detail))

    def violate(self, what: str) -> None:
        """Something happened that must not."""
        self.violations.append(f"{self._timeline.now():%H:%M:%S} {what}")

    def whats(self) -> list[str]:
        """What happened, in order."""
        return [happening.what for happening in self.log]

    def count(self, what: str) -> int:
        """How often it happened."""
        return self.whats().count(what)
