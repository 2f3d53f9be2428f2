"""Episodes that follow one another closely: a town that flaps is one piece of news. Pure.

An episode goes from the first failed check to the next good one. Where each of several begins
within the window after the one before has ended, the town flaps, until a whole window is quiet.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class FlappingRules:
    """How many episodes, each so soon after the one before, are flapping."""

    window: timedelta
    episodes: int


@dataclass(frozen=True, slots=True)
class Flapping:
    """What is remembered of a town: episodes in succession, the last one's end, and since when it
    flaps."""

    count: int = 0
    ended_at: datetime | None = None
    since: datetime | None = None


def episode_began(known: Flapping, now: datetime, rules: FlappingRules) -> Flapping:
    """A check failed after a good one."""
    soon = known.ended_at is not None and now - known.ended_at < rules.window
    count = known.count + 1 if soon else 1
    since = known.since or (now if count >= rules.episodes else None)
    return Flapping(count, known.ended_at, since)


def was_well(known: Flapping, now: datetime, rules: FlappingRules) -> Flapping:
    """A check was good; `known` has the end of the episode that it closed, if it closed one."""
    end = over_at(known, rules)
    if end is None or now < end:
        return known
    return Flapping(0, known.ended_at, None)


def over_at(known: Flapping, rules: FlappingRules) -> datetime | None:
    """From when on it flaps no more if it stays well; None when it doesn't flap."""
    if known.since is None:
        return None
    return (known.ended_at or known.since) + rules.window
