"""The decisions, by example and by property."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW
from tests.sweeps.fakes import answer, good_report, silence
from towns.policy import (
    BreakerMove,
    HealthRules,
    Hold,
    IdleFacts,
    IdleRules,
    PastRestart,
    Share,
    awake_because,
    breaker_move,
    idle_stop_at,
    is_held,
    judge,
    restarts_used_up,
)
from towns.probe import Probe, ProbeProblem
from towns.words import CheckResult, FailureKind

RULES = IdleRules(
    evidence=timedelta(minutes=6),
    coalesce=timedelta(seconds=30),
    connection=timedelta(minutes=2),
    silent=timedelta(hours=4),
)
IDLE = IdleFacts(
    auto_stop=True,
    idle_timeout=timedelta(minutes=30),
    hold_reason="",
    keep_awake_until=None,
    last_interaction_at=NOW - timedelta(minutes=31),
    awake_since=NOW - timedelta(hours=5),
    websocket_seen_at=None,
    websocket_message_at=None,
    checked_at=NOW - timedelta(minutes=1),
    result=CheckResult.OK,
    polecats_active=0,
    merge_queue=None,
)
HEALTH = HealthRules(
    strikes=3,
    fruitless_limit=3,
    fruitless_window=timedelta(minutes=10),
    restart_limit=3,
    restart_window=timedelta(minutes=30),
    breaker_towns=5,
    breaker_share=0.2,
)


def ask(probe: Probe, *, online: bool = True) -> tuple[CheckResult, FailureKind | None]:
    found = judge(probe, town_id="t", machine_id="m", online=online)
    return found.result, found.kind


def test_it_works() -> None:
    assert ask(answer(good_report("t"))) == (CheckResult.OK, None)


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (ProbeProblem.TIMEOUT, FailureKind.TIMEOUT),
        (ProbeProblem.REFUSED, FailureKind.UNREACHABLE),
        (ProbeProblem.NETWORK, FailureKind.UNREACHABLE),
        (ProbeProblem.STATUS, FailureKind.BAD_STATUS),
        (ProbeProblem.MALFORMED, FailureKind.MALFORMED),
    ],
)
def test_a_town_that_gives_no_good_answer_fails(problem: ProbeProblem, kind: FailureKind) -> None:
    assert ask(silence(problem)) == (CheckResult.FAILED, kind)


@pytest.mark.parametrize(
    "problem", [ProbeProblem.TIMEOUT, ProbeProblem.REFUSED, ProbeProblem.NETWORK]
)
def test_silence_while_we_are_offline_is_unknown(problem: ProbeProblem) -> None:
    assert ask(silence(problem), online=False) == (CheckResult.UNKNOWN, FailureKind.OUR_NETWORK)


def test_a_refused_key_is_our_fault_and_unknown() -> None:
    found = ask(silence(ProbeProblem.FORBIDDEN))
    assert found == (CheckResult.UNKNOWN, FailureKind.KEY_REFUSED)


def test_another_town_in_its_place_fails() -> None:
    assert ask(answer(good_report("other"))) == (CheckResult.FAILED, FailureKind.WRONG_TOWN)


def test_another_machine_in_its_place_fails() -> None:
    found = ask(answer(good_report("t", machine_id="older")))
    assert found == (CheckResult.FAILED, FailureKind.WRONG_TOWN)


def test_a_dead_daemon_or_dolt_fails() -> None:
    daemon = answer(good_report("t", daemon_running=False))
    dolt = answer(good_report("t", dolt_running=False))
    assert ask(daemon) == (CheckResult.FAILED, FailureKind.DAEMON_DOWN)
    assert ask(dolt) == (CheckResult.FAILED, FailureKind.DOLT_DOWN)


def test_nothing_holds_an_idle_town() -> None:
    assert awake_because(IDLE, NOW, RULES) == []


@pytest.mark.parametrize(
    ("change", "hold"),
    [
        ({"auto_stop": False}, Hold.AUTO_STOP_OFF),
        ({"hold_reason": "look at it"}, Hold.HOLD),
        ({"keep_awake_until": NOW + timedelta(minutes=1)}, Hold.KEEP_AWAKE),
        ({"polecats_active": 1}, Hold.POLECATS),
        ({"polecats_active": None}, Hold.UNKNOWN_HEALTH),
        ({"merge_queue": 2}, Hold.MERGE_QUEUE),
        ({"checked_at": None}, Hold.UNKNOWN_HEALTH),
        ({"checked_at": NOW - timedelta(minutes=6)}, Hold.UNKNOWN_HEALTH),
        ({"checked_at": NOW + timedelta(minutes=11)}, Hold.UNKNOWN_HEALTH),
        ({"result": CheckResult.UNKNOWN}, Hold.UNKNOWN_HEALTH),
        ({"result": CheckResult.FAILED}, Hold.UNKNOWN_HEALTH),
        ({"last_interaction_at": NOW - timedelta(minutes=30)}, Hold.INTERACTION),
        ({"last_interaction_at": NOW + timedelta(minutes=11)}, Hold.INTERACTION),
        ({"awake_since": NOW - timedelta(minutes=5)}, Hold.INTERACTION),
    ],
)
def test_jupyterhub_1498_daytona_2852_coder_15515_each_reason_alone_holds_it_awake(
    change: dict[str, object], hold: Hold
) -> None:
    """Work, and what is unknown, are not idleness."""
    facts = replace(IDLE, **change)  # type: ignore[arg-type]  # the fields are of many types
    assert awake_because(facts, NOW, RULES) == [hold]


def test_kilo_1452_an_idle_polecat_is_not_active() -> None:
    assert awake_because(replace(IDLE, polecats_active=0), NOW, RULES) == []


def test_an_open_websocket_holds_while_its_user_is_there() -> None:
    facts = replace(IDLE, websocket_seen_at=NOW, websocket_message_at=NOW - timedelta(hours=3))
    assert awake_because(facts, NOW, RULES) == [Hold.CONNECTION]


def test_kilo_3113_a_silent_websocket_that_keeps_reconnecting_holds_nothing() -> None:
    facts = replace(IDLE, websocket_seen_at=NOW, websocket_message_at=NOW - timedelta(hours=4))
    assert awake_because(facts, NOW, RULES) == []


def test_the_planned_stop_moves_with_the_work() -> None:
    """coder #12064."""
    last = NOW - timedelta(minutes=10)
    at = idle_stop_at(replace(IDLE, last_interaction_at=last), NOW, RULES)
    assert at == last + timedelta(minutes=30, seconds=30)


def test_the_planned_stop_waits_for_the_end_of_a_keep_awake() -> None:
    until = NOW + timedelta(hours=2)
    assert idle_stop_at(replace(IDLE, keep_awake_until=until), NOW, RULES) == until


@pytest.mark.parametrize(("minutes", "held"), [(1, [Hold.HOLD]), (0, []), (-1, [])])
def test_a_hold_that_is_over_is_none(minutes: int, held: list[Hold]) -> None:
    until = NOW + timedelta(minutes=minutes)
    facts = replace(IDLE, hold_reason="look at it", hold_until=until)
    assert awake_because(facts, NOW, RULES) == held
    at = idle_stop_at(facts, NOW, RULES)
    assert at is not None
    assert (at > NOW) == bool(held), "the stop waits for its end"


def test_no_stop_is_planned_under_a_hold_without_an_end() -> None:
    assert idle_stop_at(replace(IDLE, hold_reason="look at it"), NOW, RULES) is None


def test_an_end_without_a_hold_means_nothing() -> None:
    facts = replace(IDLE, hold_until=NOW + timedelta(hours=1))
    assert idle_stop_at(facts, NOW, RULES) == idle_stop_at(IDLE, NOW, RULES)


def test_no_stop_is_planned_while_work_goes_on() -> None:
    assert idle_stop_at(replace(IDLE, polecats_active=1), NOW, RULES) is None


moments = st.none() | st.integers(-20000, 20000).map(lambda s: NOW + timedelta(seconds=s))


@given(
    facts=st.builds(
        IdleFacts,
        auto_stop=st.booleans(),
        idle_timeout=st.integers(5, 480).map(lambda m: timedelta(minutes=m)),
        hold_reason=st.sampled_from(["", "x"]),
        keep_awake_until=moments,
        last_interaction_at=moments,
        awake_since=moments,
        websocket_seen_at=moments,
        websocket_message_at=moments,
        checked_at=moments,
        result=st.none() | st.sampled_from(CheckResult),
        polecats_active=st.none() | st.integers(0, 3),
        merge_queue=st.none() | st.integers(0, 2),
        hold_until=moments,
    )
)
def test_who_is_idle_by_the_rule_is_idle_by_every_fact(facts: IdleFacts) -> None:
    """Invariant 4, whatever the facts are."""
    if awake_because(facts, NOW, RULES):
        return
    assert facts.auto_stop
    assert not is_held(facts.hold_reason, facts.hold_until, NOW)
    assert facts.polecats_active == 0
    assert facts.result == CheckResult.OK
    assert facts.checked_at is not None
    assert abs(NOW - facts.checked_at) < RULES.evidence
    for moment in (facts.last_interaction_at, facts.awake_since):
        assert moment is None or NOW - moment >= facts.idle_timeout
    assert facts.keep_awake_until is None or facts.keep_awake_until <= NOW


@given(facts=st.just(IDLE), minutes=st.integers(0, 60))
def test_a_town_is_idle_exactly_from_its_planned_stop_on(facts: IdleFacts, minutes: int) -> None:
    now = NOW - timedelta(minutes=30) + timedelta(minutes=minutes)
    fresh = replace(facts, checked_at=now)
    at = idle_stop_at(fresh, now, RULES)
    assert at is not None
    assert (not awake_because(fresh, now, RULES)) == (now >= at)


def restarts(*minutes_ago: int, automatic: bool = True) -> list[PastRestart]:
    return [PastRestart(NOW - timedelta(minutes=minutes), automatic) for minutes in minutes_ago]


def used_up(past: list[PastRestart], cleared_at: datetime | None = None) -> str | None:
    return restarts_used_up(past, NOW, HEALTH, cleared_at=cleared_at)


def test_two_restarts_leave_one() -> None:
    assert used_up(restarts(1, 2)) is None


def test_three_automatic_restarts_in_half_an_hour_are_enough() -> None:
    assert "3 automatic restarts within 30 min" in str(used_up(restarts(12, 20, 29)))


def test_three_fruitless_restarts_in_ten_minutes_are_enough_whoever_asked() -> None:
    assert "3 restarts within 10 min" in str(used_up(restarts(1, 4, 9, automatic=False)))


def test_old_restarts_count_no_more() -> None:
    assert used_up(restarts(12, 20, 30)) is None


def test_staff_can_clear_the_limit() -> None:
    assert used_up(restarts(12, 20, 29), cleared_at=NOW - timedelta(minutes=10)) is None


@pytest.mark.parametrize(
    ("is_open", "share", "move"),
    [
        (False, Share(25, 5, 5), BreakerMove.OPEN),
        (False, Share(26, 5, 5), BreakerMove.KEEP),
        (False, Share(4, 4, 4), BreakerMove.KEEP),
        (False, Share(0, 0, 0), BreakerMove.KEEP),
        (True, Share(25, 0, 5), BreakerMove.KEEP),
        (True, Share(25, 0, 4), BreakerMove.CANARY),
        (True, Share(25, 0, 0), BreakerMove.CLOSE),
        (True, Share(0, 0, 0), BreakerMove.KEEP),
    ],
)
def test_the_platform_is_down_rule(is_open: bool, share: Share, move: BreakerMove) -> None:
    assert breaker_move(is_open=is_open, share=share, rules=HEALTH) == move


@pytest.mark.parametrize(
    ("share", "minutes", "move"),
    [
        (Share(60, 0, 23), 4, BreakerMove.KEEP),
        (Share(60, 0, 23), 5, BreakerMove.CANARY),
        (Share(60, 11, 23), 5, BreakerMove.CANARY),
        (Share(60, 12, 23), 5, BreakerMove.KEEP),
        (Share(0, 0, 0), 60, BreakerMove.KEEP),
        (Share(60, 0, 0), 1, BreakerMove.CLOSE),
    ],
)
def test_towns_that_are_really_broken_do_not_keep_the_breaker_open_for_ever(
    share: Share, minutes: int, move: BreakerMove
) -> None:
    waited = timedelta(minutes=minutes)
    assert breaker_move(is_open=True, share=share, rules=HEALTH, waited=waited) == move
