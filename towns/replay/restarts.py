"""Which automatic restarts a town would have had (product.md 1.1), decided again by `policy`. Pure.

Where history can't tell, this is taken to be so:
- With fewer failures asked for, the restart comes earlier, and the rest of the episode is its.
- With more asked for, an episode that a restart really ended goes on failing once a period.
- What one more restart than there really was would have brought is not known.
- That only so many restarts may be under way at once in the fleet is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from towns.policy import PastRestart, is_held, restarts_used_up
from towns.replay.past import Choices, Moved, Seen, TownPast, covers
from towns.replay.scenario import Scenario
from towns.words import CheckResult


@dataclass(slots=True)
class RestartReplay:
    """One town's days again. `run` once; then the four lists hold the two histories."""

    past: TownPast
    scenario: Scenario
    period: timedelta
    restarted: list[datetime] = field(default_factory=list)
    given_up: list[datetime] = field(default_factory=list)
    would_restart: list[datetime] = field(default_factory=list)
    would_give_up: list[datetime] = field(default_factory=list)
    _choices: Choices = field(init=False)
    _failures: int = 0
    _decided: bool = False
    """Whether the replay has restarted it in this episode, or has given it up."""
    _gave_up: bool = False
    _done: list[PastRestart] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._choices = self.past.choices

    def run(self) -> None:
        """Go through all that happened."""
        happened: list[tuple[datetime, int, Seen | Moved | Choices]] = [
            *((at, 0, choices) for at, choices in self.past.chosen),
            *((seen.at, 1, seen) for seen in self.past.checks),
            *((moved.at, 2, moved) for moved in self.past.moves),
        ]
        happened.sort(key=lambda one: one[:2])
        for _, _, one in happened:
            match one:
                case Seen():
                    self._see(one)
                case Moved():
                    self._move(one)
                case Choices():
                    self._choices = one

    def _see(self, seen: Seen) -> None:
        if seen.result == CheckResult.OK:
            self._failures, self._decided, self._gave_up = 0, False, False
        elif seen.result == CheckResult.FAILED:
            self._failures += 1
            if self._failures >= self.scenario.health.strikes and not self._is_held(seen.at):
                self._restart(seen.at)

    def _move(self, moved: Moved) -> None:
        if moved.is_strike_restart:
            self.restarted.append(moved.at)
            self._really_restarted(moved.at)
        elif moved.kind == "restart_limit":
            self.given_up.append(moved.at)
            self._really_given_up(moved.at)
        elif moved.kind in ("restart", "recover"):
            self._done.append(PastRestart(moved.at, moved.automatic))
        elif not moved.by_a_person and not moved.kind.endswith("_done"):
            return
        if moved.by_a_person:
            self._gave_up = False
        self._failures, self._decided = 0, self._gave_up

    def _really_restarted(self, at: datetime) -> None:
        if self._gave_up:
            return
        if self._decided:
            if self.would_restart and at - self.would_restart[-1] < self.period:
                self._same(self.would_restart, at)  # one and the same, a moment later
                self._done[-1] = PastRestart(at, True)
            return
        missing = max(0, self.scenario.health.strikes - self._failures)
        self._restart(at + missing * self.period)

    def _really_given_up(self, at: datetime) -> None:
        if not self._decided:
            self._restart(at)
        elif self._gave_up and at - self.would_give_up[-1] < self.period:
            self._same(self.would_give_up, at)

    def _same(self, moments: list[datetime], at: datetime) -> None:
        moments[-1] = at

    def _restart(self, at: datetime) -> None:
        if self._decided:
            return
        cleared = self._choices.restarts_cleared_at
        used_up = restarts_used_up(self._done, at, self.scenario.health, cleared_at=cleared)
        self._decided = True
        if used_up is not None:
            self._gave_up = True
            self.would_give_up.append(at)
            return
        self.would_restart.append(at)
        self._done.append(PastRestart(at, True))

    def _is_held(self, at: datetime) -> bool:
        held = is_held(self._choices.hold_reason, self._choices.hold_until, at)
        return held or covers(self.past.pauses, at)


def in_span(moments: Sequence[datetime], since: datetime, until: datetime) -> tuple[datetime, ...]:
    """Those inside a span."""
    return tuple(at for at in moments if since <= at <= until)
