"""What a check means, when to restart, what is idle. Pure: no I/O, no clock, no Django.

Every decision takes `now` and its inputs as values, and says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from towns.probe import HealthReport, Probe, ProbeProblem
from towns.words import CheckResult, FailureKind


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one probe proves of a town; `reason` is for people."""

    result: CheckResult
    kind: FailureKind | None = None
    reason: str = ""


_FAILURES = {
    ProbeProblem.TIMEOUT: FailureKind.TIMEOUT,
    ProbeProblem.REFUSED: FailureKind.UNREACHABLE,
    ProbeProblem.NETWORK: FailureKind.UNREACHABLE,
    ProbeProblem.STATUS: FailureKind.BAD_STATUS,
    ProbeProblem.MALFORMED: FailureKind.MALFORMED,
}
_NO_ANSWER = frozenset({ProbeProblem.TIMEOUT, ProbeProblem.REFUSED, ProbeProblem.NETWORK})


def answered(probe: Probe) -> bool:
    """Whether somebody spoke HTTP with us, whatever was said."""
    return probe.problem not in _NO_ANSWER


def judge(probe: Probe, *, town_id: str, machine_id: str, online: bool = True) -> Judgement:
    """Say what a probe proves. `online` is False when our own network is down: then silence
    proves nothing. A name that does not resolve while we are online is the town's failure: Fly
    has no address for a machine that is stopped or gone."""
    if probe.problem == ProbeProblem.FORBIDDEN:
        return Judgement(CheckResult.UNKNOWN, FailureKind.KEY_REFUSED, probe.detail)
    if probe.problem in _NO_ANSWER and not online:
        return Judgement(
            CheckResult.UNKNOWN,
            FailureKind.OUR_NETWORK,
            "Nothing answered us, not even Fly or R2: our own network is down.",
        )
    if probe.problem is not None:
        return Judgement(CheckResult.FAILED, _FAILURES[probe.problem], probe.detail)
    assert probe.report is not None
    return _judge_report(probe.report, town_id, machine_id)


def _judge_report(report: HealthReport, town_id: str, machine_id: str) -> Judgement:
    if report.town_id != town_id:
        return _failed(FailureKind.WRONG_TOWN, f"Town {report.town_id} answered in its place.")
    if report.machine_id and machine_id and report.machine_id != machine_id:
        return _failed(
            FailureKind.WRONG_TOWN, f"Machine {report.machine_id} answered, not {machine_id}."
        )
    if not report.daemon_running:
        return _failed(FailureKind.DAEMON_DOWN, "The gt daemon is not running.")
    if not report.dolt_running:
        return _failed(FailureKind.DOLT_DOWN, "The Dolt server is not running.")
    return Judgement(CheckResult.OK)


def _failed(kind: FailureKind, reason: str) -> Judgement:
    return Judgement(CheckResult.FAILED, kind, reason)


class Hold(StrEnum):
    """What keeps a town awake."""

    AUTO_STOP_OFF = "auto_stop_off"
    HOLD = "hold"
    KEEP_AWAKE = "keep_awake"
    POLECATS = "polecats"
    MERGE_QUEUE = "merge_queue"
    CONNECTION = "connection"
    INTERACTION = "interaction"
    UNKNOWN_HEALTH = "unknown_health"


@dataclass(frozen=True, slots=True)
class IdleRules:
    """How idleness is measured."""

    evidence: timedelta
    """A health check older than this is no evidence."""
    coalesce: timedelta
    """An interaction may be younger than what is stored by this much."""
    connection: timedelta
    """A WebSocket not seen for so long is closed."""
    silent: timedelta
    """A WebSocket without a message for so long holds nothing."""


@dataclass(frozen=True, slots=True)
class IdleFacts:
    """What is known of a town's use. None means unknown."""

    auto_stop: bool
    idle_timeout: timedelta
    hold_reason: str
    keep_awake_until: datetime | None
    last_interaction_at: datetime | None
    awake_since: datetime | None
    websocket_seen_at: datetime | None
    websocket_message_at: datetime | None
    checked_at: datetime | None
    result: CheckResult | None
    polecats_active: int | None
    merge_queue: int | None
    hold_until: datetime | None = None


def is_held(reason: str, until: datetime | None, now: datetime) -> bool:
    """Whether a hold stands: it has a reason, and no end or one that is still to come."""
    return bool(reason) and (until is None or until > now)


def awake_because(facts: IdleFacts, now: datetime, rules: IdleRules) -> list[Hold]:
    """Everything that keeps a town awake now; empty when it is idle.

    Unknown is not idle: a check that is too old, failed, or says nothing of polecats holds. A time
    in the future (a clock was set back) is as good as now.
    """
    held = []
    if not facts.auto_stop:
        held.append(Hold.AUTO_STOP_OFF)
    if is_held(facts.hold_reason, facts.hold_until, now):
        held.append(Hold.HOLD)
    if facts.keep_awake_until is not None and facts.keep_awake_until > now:
        held.append(Hold.KEEP_AWAKE)
    if not _has_evidence(facts, now, rules):
        held.append(Hold.UNKNOWN_HEALTH)
    if facts.polecats_active:
        held.append(Hold.POLECATS)
    if facts.merge_queue:
        held.append(Hold.MERGE_QUEUE)
    if is_connected(facts, now, rules):
        held.append(Hold.CONNECTION)
    quiet = quiet_at(facts, rules)
    if quiet is None or quiet > now:
        held.append(Hold.INTERACTION)
    return held


def idle_stop_at(facts: IdleFacts, now: datetime, rules: IdleRules) -> datetime | None:
    """When the town is stopped if nobody comes; None while something holds it without an end."""
    ends = {Hold.INTERACTION, Hold.KEEP_AWAKE}
    hold_until = facts.hold_until if facts.hold_reason else None
    if hold_until is not None:
        ends.add(Hold.HOLD)
    quiet = quiet_at(facts, rules)
    if quiet is None or set(awake_because(facts, now, rules)) - ends:
        return None
    return max(quiet, facts.keep_awake_until or quiet, hold_until or quiet)


def _has_evidence(facts: IdleFacts, now: datetime, rules: IdleRules) -> bool:
    if facts.checked_at is None or facts.result != CheckResult.OK:
        return False
    return facts.polecats_active is not None and abs(now - facts.checked_at) < rules.evidence


def is_connected(facts: IdleFacts, now: datetime, rules: IdleRules) -> bool:
    """Whether an open WebSocket holds the town awake."""
    return is_open(facts.websocket_seen_at, facts.websocket_message_at, now, rules)


def is_open(
    seen: datetime | None, message: datetime | None, now: datetime, rules: IdleRules
) -> bool:
    """Whether a WebSocket counts that was last seen and last used then."""
    if seen is None or message is None:
        return False
    return now - seen < rules.connection and now - message < rules.silent


def quiet_at(facts: IdleFacts, rules: IdleRules) -> datetime | None:
    """When the idle timeout is over: counted from the last interaction, or from the wake-up."""
    if facts.last_interaction_at is not None:
        base = facts.last_interaction_at + rules.coalesce
        if facts.awake_since is not None:
            base = max(base, facts.awake_since)
    elif facts.awake_since is not None:
        base = facts.awake_since
    else:
        return None
    return base + facts.idle_timeout


@dataclass(frozen=True, slots=True)
class HealthRules:
    """When a failing town is restarted, and when no more."""

    strikes: int
    fruitless_limit: int
    fruitless_window: timedelta
    restart_limit: int
    restart_window: timedelta
    breaker_towns: int
    breaker_share: float
    """0 to 1."""
    breaker_patience: timedelta = timedelta(minutes=5)
    """How long an open breaker waits for towns to heal by themselves, and after a canary failed."""


@dataclass(frozen=True, slots=True)
class PastRestart:
    """A restart that has ended."""

    at: datetime
    automatic: bool


def restarts_used_up(
    past: Sequence[PastRestart], now: datetime, rules: HealthRules, *, cleared_at: datetime | None
) -> str | None:
    """Why a town that fails again may not be restarted any more; None when it may.

    Every restart in `past` was fruitless: the town fails again. What was before `cleared_at`, when
    staff cleared it, doesn't count.
    """
    counted = [one for one in past if cleared_at is None or one.at > cleared_at]
    fruitless = [one for one in counted if now - one.at < rules.fruitless_window]
    if len(fruitless) >= rules.fruitless_limit:
        minutes = rules.fruitless_window.total_seconds() / 60
        return f"{len(fruitless)} restarts within {minutes:.0f} min did not help"
    automatic = [one for one in counted if one.automatic and now - one.at < rules.restart_window]
    if len(automatic) >= rules.restart_limit:
        minutes = rules.restart_window.total_seconds() / 60
        return f"{len(automatic)} automatic restarts within {minutes:.0f} min are enough"
    return None


@dataclass(frozen=True, slots=True)
class Share:
    """What one sweep saw of the fleet, a region or an image. Unknown checks are not in it."""

    probed: int = 0
    newly_failing: int = 0
    failing: int = 0

    def __add__(self, other: "Share") -> "Share":
        return Share(
            self.probed + other.probed,
            self.newly_failing + other.newly_failing,
            self.failing + other.failing,
        )


class BreakerMove(StrEnum):
    """What the platform-is-down rule does after a sweep."""

    KEEP = "keep"
    OPEN = "open"
    CANARY = "canary"
    CLOSE = "close"


def breaker_move(
    *, is_open: bool, share: Share, rules: HealthRules, waited: timedelta = timedelta(0)
) -> BreakerMove:
    """The rule for one scope: it opens when many newly fail at once; with none left it closes.

    It lets a canary out when the share of failing towns is below the line again. Towns that are
    really broken never get it there: when no more begin to fail and it has `waited` long enough,
    since it opened or since its last canary failed, a canary goes all the same.
    """
    if not is_open:
        return (
            BreakerMove.OPEN
            if is_mass(share.newly_failing, share.probed, rules)
            else BreakerMove.KEEP
        )
    if share.probed == 0 or is_mass(share.newly_failing, share.probed, rules):
        return BreakerMove.KEEP
    if is_mass(share.failing, share.probed, rules) and waited < rules.breaker_patience:
        return BreakerMove.KEEP
    return BreakerMove.CANARY if share.failing else BreakerMove.CLOSE


def is_mass(failing: int, probed: int, rules: HealthRules) -> bool:
    """Whether so many fail that it is the platform rather than the towns."""
    return failing >= rules.breaker_towns and failing >= rules.breaker_share * probed
