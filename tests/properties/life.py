"""What the spec says of one town's life: its failures, its restarts and its idleness.

An oracle written from product.md 1.1, 1.4 and 1.7 alone. It keeps everything that ever happened,
and answers each question by looking through all of it; the code under test keeps a few fields.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)
EVIDENCE = 6 * MINUTE
"""A health check younger than two periods."""
COALESCED = timedelta(seconds=30)
"""So much younger may an interaction be than what is stored of it."""
OPEN_FOR = 2 * MINUTE
"""A WebSocket is told to be open once a minute."""
SILENT = timedelta(hours=4)


@dataclass(frozen=True)
class Checked:
    """One health check."""

    at: datetime
    result: str
    answered: bool = False
    """Whether the town itself said something, be it that its daemon is down."""
    polecats: int | None = None
    merge_queue: int | None = None


@dataclass(frozen=True)
class Restarted:
    """One restart, whoever asked for it."""

    at: datetime
    automatic: bool


@dataclass(frozen=True)
class Span:
    """Something that holds automation back for a time; without an end, until it is lifted."""

    since: datetime
    until: datetime | None

    def covers(self, now: datetime) -> bool:
        return self.since <= now and (self.until is None or now < self.until)


@dataclass
class Life:
    """Everything that has happened to a town."""

    woke: datetime
    timeout: timedelta
    checks: list[Checked] = field(default_factory=list)
    """Since it last began to run."""
    seen: list[Checked] = field(default_factory=list)
    """All of them, for what the last one said."""
    episodes: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    log: list[tuple[str, datetime]] = field(default_factory=list)
    """Of episodes and good checks, in the order in which they came: clocks may be set back."""
    restarts: list[Restarted] = field(default_factory=list)
    cleared: datetime | None = None
    came: list[datetime] = field(default_factory=list)
    messages: list[datetime] = field(default_factory=list)
    sightings: list[datetime] = field(default_factory=list)
    auto_stop: bool = True
    awake_until: datetime | None = None
    hold: Span | None = None
    freeze: Span | None = None
    windows: list[Span] = field(default_factory=list)
    breakers: set[str] = field(default_factory=set)

    # 1.1: failures and restarts

    def checked(self, check: Checked) -> None:
        """A check: an episode goes from the first failed one to the next good one."""
        self.checks.append(check)
        self.seen.append(check)
        if check.result == "failed" and not self.is_failing():
            self.episodes.append((check.at, None))
            self.log.append(("began", check.at))
        elif check.result == "ok":
            self.ends_episode(check.at)
            self.log.append(("good", check.at))

    def ends_episode(self, now: datetime) -> None:
        """It is well."""
        if self.is_failing():
            self.episodes[-1] = (self.episodes[-1][0], now)
            self.log.append(("ended", now))

    def is_failing(self) -> bool:
        return bool(self.episodes) and self.episodes[-1][1] is None

    def failures(self) -> int:
        """In a row: unknown checks and times without any count neither way."""
        known = [check.result for check in self.checks if check.result != "unknown"]
        return next((n for n, result in enumerate(reversed(known)) if result == "ok"), len(known))

    def last_result(self) -> str:
        return self.seen[-1].result if self.seen else ""

    def held_back(self, now: datetime) -> bool:
        """By a freeze, a hold, a maintenance window, or a breaker."""
        spans = [self.freeze, self.hold, *self.windows]
        return bool(self.breakers) or any(span.covers(now) for span in spans if span)

    def may_not_restart(self, now: datetime) -> bool:
        """Three fruitless ones in 10 min, or three automatic ones in 30, since it was cleared."""
        past = [one for one in self.restarts if self.cleared is None or one.at > self.cleared]
        fruitless = [one for one in past if one.at > now - 10 * MINUTE]
        automatic = [one for one in past if one.automatic and one.at > now - 30 * MINUTE]
        return len(fruitless) >= 3 or len(automatic) >= 3

    def flaps(self) -> bool:
        """Four episodes, each begun within 30 minutes after the one before, until 30 are quiet;
        which is seen by a good check."""
        flaps, run, ended = False, 0, datetime.min.replace(tzinfo=self.woke.tzinfo)
        for what, at in self.log:
            if what == "began":
                run = run + 1 if at - ended < 30 * MINUTE else 1
                flaps = flaps or run >= 4
            elif what == "ended":
                ended = at
            elif flaps and at - ended >= 30 * MINUTE:
                flaps, run = False, 0
        return flaps

    # 1.4: idleness

    def awake_because(self, now: datetime) -> set[str]:
        """Everything that holds it awake."""
        found = {
            "auto_stop_off": not self.auto_stop,
            "hold": self.hold is not None and self.hold.covers(now),
            "keep_awake": self.awake_until is not None and now < self.awake_until,
            "unknown_health": not self._has_evidence(now),
            "polecats": bool(self._last_figure("polecats")),
            "merge_queue": bool(self._last_figure("merge_queue")),
            "connection": self._is_connected(now),
            "interaction": now < self.quiet_at(),
        }
        return {name for name, holds in found.items() if holds}

    def quiet_at(self) -> datetime:
        """No interaction for its timeout; it also has that long after it woke."""
        last = max(self.came, default=None)
        since = self.woke if last is None else max(last + COALESCED, self.woke)
        return since + self.timeout

    def _has_evidence(self, now: datetime) -> bool:
        if not self.seen or self.seen[-1].result != "ok":
            return False
        last = self.seen[-1]
        age = now - last.at
        return self._last_figure("polecats") is not None and -EVIDENCE < age < EVIDENCE

    def _last_figure(self, name: str) -> int | None:
        """What the last answer said; work that was seen is work until somebody says otherwise."""
        answers = [check for check in self.seen if check.answered]
        found: int | None = getattr(answers[-1], name) if answers else None
        return found

    def _is_connected(self, now: datetime) -> bool:
        seen, said = max(self.sightings, default=None), max(self.messages, default=None)
        if seen is None or said is None:
            return False
        return now - seen < OPEN_FOR and now - said < SILENT
