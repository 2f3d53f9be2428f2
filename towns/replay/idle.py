"""Which idle stops a town would have had (product.md 1.4), decided again by `policy`. Pure.

Where history can't tell, this is taken to be so:
- A decision is made where an idle sweep was made, by the last check before it.
- Who would have slept earlier than it did: what it did meanwhile shows in its checks, and its
  owner's next sign of use ends the sleep.
- Who would have slept later than it did has no checks meanwhile: it is without work and visitors
  until its owner really came.
- Where use was not recorded yet, what really happened is taken over.
- A stop that was called off at the second look is called off in the replay too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from towns.policy import IdleFacts, awake_because, is_held
from towns.replay.outcome import Stop
from towns.replay.past import Choices, Moved, Seen, TownPast, covers
from towns.replay.scenario import Scenario
from towns.words import CheckResult, Status

SLEEPING = frozenset({Status.STOPPING, Status.STOPPED})


@dataclass(slots=True)
class IdleReplay:
    """One town's days again. `run` once; then `would_stop` and `stopped` hold the two histories."""

    past: TownPast
    scenario: Scenario
    would_stop: list[Stop] = field(default_factory=list)
    stopped: list[Stop] = field(default_factory=list)
    _status: Status = Status.RUNNING
    _choices: Choices = field(init=False)
    _awake_since: datetime = field(init=False)
    _interaction_at: datetime | None = None
    _seen: Seen | None = None
    _asleep: Stop | None = None
    """The replayed sleep that lasts."""
    _really: Stop | None = None
    """The real idle stop or sleep that lasts."""
    _checks: int = 0
    _moves: int = 0
    _chosen: int = 0
    """How far each of the three lists is read."""

    def __post_init__(self) -> None:
        self._status, self._choices = self.past.status, self.past.choices
        self._awake_since = self.past.begins

    def run(self, moments: Sequence[datetime], until: datetime) -> None:
        """Decide at the moments of the idle sweeps, in order, and see what came until the end."""
        for moment in moments:
            self._go_to(moment, deciding=True)
            self._decide(moment)
        self._go_to(until, deciding=False)

    def _go_to(self, moment: datetime, *, deciding: bool) -> None:
        """What happened until then, in its order; not the stop that is decided just then."""
        checks, moves, chosen = self.past.checks, self.past.moves, self.past.chosen
        while True:
            check = checks[self._checks] if self._checks < len(checks) else None
            move = moves[self._moves] if self._moves < len(moves) else None
            if deciding and move is not None and move.is_idle_stop and move.at == moment:
                move = None
            if check is not None and (move is None or check.at <= move.at):
                if check.at > moment:
                    break
                self._checks += 1
                self._see(check)
            elif move is not None and move.at <= moment:
                self._moves += 1
                self._move(move)
            else:
                break
        while self._chosen < len(chosen) and chosen[self._chosen][0] <= moment:
            self._choices = chosen[self._chosen][1]
            self._chosen += 1

    # What happened

    def _see(self, seen: Seen) -> None:
        self._seen = seen
        if seen.interaction_at is not None:
            self._used(seen.interaction_at)
        if self._asleep is not None and seen.polecats:
            self._asleep.worked = True

    def _used(self, at: datetime) -> None:
        if self._interaction_at is None or at > self._interaction_at:
            self._interaction_at = at
        if self._asleep is not None and at > self._asleep.at:
            self._wake(at, back=True)

    def _move(self, moved: Moved) -> None:
        if moved.interaction_at is not None:
            self._used(moved.interaction_at)
        if moved.is_idle_stop:
            self._really = Stop(moved.at, moved.at)
            self.stopped.append(self._really)
            if self._asleep is None and not self._use_is_known():
                self._sleep(moved.at)
        elif moved.status == Status.STOPPED:
            self._arrived(moved)
        elif moved.status not in SLEEPING:
            self._end_real(moved)
        if moved.by_a_person:
            # A start is a sign of use; a stop or a destroy ends what can be said of the sleep.
            if moved.kind == "start":
                self._used(moved.at)
            self._wake(moved.at, back=moved.kind in ("start", "restart"))
        if moved.brings_up:
            if moved.kind == "drift":
                self._wake(moved.at, back=False)
            self._awake_since = moved.at
        self._status = moved.status

    def _arrived(self, moved: Moved) -> None:
        """It sleeps: the replayed stop that was decided at the same time took as long."""
        if self._really is not None:
            self._really.done_at = moved.at
            if self._asleep is not None and self._asleep.at == self._really.at:
                self._asleep.done_at = moved.at

    def _end_real(self, moved: Moved) -> None:
        """The real stop came to its end: called off, which takes the replayed one with it, or
        over."""
        real, self._really = self._really, None
        if real is None:
            return
        if real.done_at > real.at or moved.by_a_person:
            real.ended_at = moved.at
            real.back_at = moved.at if moved.by_a_person else None
            return
        self.stopped.remove(real)
        if self._asleep is not None and self._asleep.at == real.at:
            self.would_stop.remove(self._asleep)
            self._asleep = None

    def _wake(self, at: datetime, *, back: bool) -> None:
        if self._asleep is None:
            return
        self._asleep.ended_at = at
        self._asleep.back_at = at if back else None
        self._asleep, self._awake_since = None, at

    # What is decided

    def _decide(self, moment: datetime) -> None:
        if self._asleep is not None or not self._use_is_known():
            return
        slept = self._really is not None
        if self._status != Status.RUNNING and not slept:
            return
        self._look_ahead(moment)
        timeout = self.scenario.timeout(self._choices.idle_timeout_minutes)
        if self._interaction_at is not None and moment < self._interaction_at + timeout:
            return  # as `policy` would say, and so it is at most moments
        if awake_because(self._facts(moment, slept), moment, self.scenario.idle):
            return
        held = is_held(self._choices.hold_reason, self._choices.hold_until, moment)
        if held or covers(self.past.pauses, moment):
            return
        self._sleep(moment)

    def _sleep(self, at: datetime) -> None:
        self._asleep = Stop(at, at)
        self.would_stop.append(self._asleep)

    def _use_is_known(self) -> bool:
        return self._seen is not None and self._seen.connected is not None

    def _look_ahead(self, moment: datetime) -> None:
        """The next check tells whether somebody came between the last one and this moment."""
        if self._checks < len(self.past.checks):
            came = self.past.checks[self._checks].interaction_at
            if came is not None and came <= moment:
                self._used(came)

    def _facts(self, moment: datetime, slept: bool) -> IdleFacts:
        seen, choices = self._seen, self._choices
        assert seen is not None
        connected = bool(seen.connected) and not slept
        return IdleFacts(
            auto_stop=choices.auto_stop,
            idle_timeout=self.scenario.timeout(choices.idle_timeout_minutes),
            hold_reason=choices.hold_reason,
            hold_until=choices.hold_until,
            keep_awake_until=choices.keep_awake_until,
            last_interaction_at=self._interaction_at,
            awake_since=self._awake_since,
            websocket_seen_at=moment if connected else None,
            websocket_message_at=moment if connected else None,
            checked_at=moment if slept else seen.at,
            result=CheckResult.OK if slept else seen.result,
            polecats_active=0 if slept else seen.polecats,
            merge_queue=0 if slept else seen.merge_queue,
        )
