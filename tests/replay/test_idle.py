"""Idle stops decided again, by properties: no database, histories of one town by chance."""

from datetime import timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.factories import NOW
from towns.replay.idle import IdleReplay
from towns.replay.outcome import Stop
from towns.replay.past import Choices, Moved, Seen, TownPast
from towns.replay.scenario import EVERY, scenario_with
from towns.words import CheckResult, Status

PERIOD = timedelta(minutes=3)
SLOTS = 100
UNTIL = NOW + SLOTS * PERIOD
MOMENTS = [NOW + slot * PERIOD + timedelta(seconds=20) for slot in range(SLOTS)]

visits = st.sets(st.integers(0, SLOTS * 3), max_size=8)
works = st.lists(st.booleans() | st.just(False) | st.just(False), min_size=SLOTS, max_size=SLOTS)


def past_of(visits: set[int], works: list[bool], **fields: object) -> TownPast:
    """A town that was awake all the time: visits by the minute, work by the slot."""
    came = sorted(NOW + timedelta(minutes=minute) for minute in visits)
    checks = []
    for slot, working in enumerate(works):
        at = NOW + slot * PERIOD
        last = max((moment for moment in came if moment <= at), default=None)
        checks.append(Seen(at, CheckResult.OK, int(working), 0, last, False))
    values: dict[str, object] = {
        "town": UUID(int=1),
        "name": "ada/mill",
        "begins": NOW,
        "status": Status.RUNNING,
        "choices": Choices(idle_timeout_minutes=30, auto_stop=True),
        "checks": checks,
    }
    return TownPast(**{**values, **fields})  # type: ignore[arg-type]  # of any field


def stops_of(past: TownPast, minutes: int) -> list[Stop]:
    """What it would have been with that timeout."""
    replay = IdleReplay(past, scenario_with([f"{EVERY}={minutes}"]))
    replay.run(MOMENTS, UNTIL)
    assert replay.stopped == [], "really it was stopped never"
    return replay.would_stop


def test_it_works() -> None:
    [stop] = stops_of(past_of({60}, [False] * SLOTS), 70)
    assert stop.at == MOMENTS[44], "the first sweep after 60 + 70 min and the 30 s of coalescing"
    [first, second] = stops_of(past_of({60}, [False] * SLOTS), 30)
    assert (first.at, first.back_at) == (MOMENTS[10], NOW + timedelta(minutes=60))
    assert second.ended_at is None
    assert first.asleep(NOW, UNTIL) + second.asleep(NOW, UNTIL) == (
        timedelta(minutes=300 - 30 - 30 - 3, seconds=-40).total_seconds()
    )


@hypothesis_settings(max_examples=40)
@given(visits, works, st.integers(5, 60), st.integers(5, 60))
def test_a_shorter_timeout_never_stops_later(
    visits: set[int], works: list[bool], one: int, other: int
) -> None:
    past = past_of(visits, works)
    short, long = (stops_of(past, minutes) for minutes in sorted((one, other)))
    if long:
        assert short, "who is idle for long is idle for short"
        assert short[0].at <= long[0].at


@hypothesis_settings(max_examples=40)
@given(visits, works, st.integers(5, 60))
def test_who_works_or_was_visited_is_never_stopped(
    visits: set[int], works: list[bool], minutes: int
) -> None:
    """Invariant 4."""
    for stop in stops_of(past_of(visits, works), minutes):
        slot = int((stop.at - NOW) / PERIOD)
        assert not works[slot], "it worked"
        for minute in visits:
            came = NOW + timedelta(minutes=minute)
            assert not came <= stop.at < came + timedelta(minutes=minutes), "somebody was there"
        assert stop.ended_at is None or stop.ended_at > stop.at


@hypothesis_settings(max_examples=25)
@given(visits, works)
def test_sleeps_do_not_overlap_and_end_with_a_visit(visits: set[int], works: list[bool]) -> None:
    stops = stops_of(past_of(visits, works), 10)
    for earlier, later in pairwise(stops):
        assert earlier.back_at is not None
        assert earlier.at < earlier.back_at < later.at


def test_auto_stop_off_and_unknown_use_stop_nobody() -> None:
    off = Choices(idle_timeout_minutes=30, auto_stop=False)
    assert stops_of(past_of(set(), [False] * SLOTS, choices=off), 5) == []
    blind = [Seen(NOW + n * PERIOD, CheckResult.OK, 0, 0, None, None) for n in range(SLOTS)]
    assert stops_of(past_of(set(), [], checks=blind), 5) == []
    failing = [Seen(NOW + n * PERIOD, CheckResult.FAILED, 0, 0, None, False) for n in range(SLOTS)]
    assert stops_of(past_of(set(), [], checks=failing), 5) == []
    tab = [Seen(NOW + n * PERIOD, CheckResult.OK, 0, 0, None, True) for n in range(SLOTS)]
    assert stops_of(past_of(set(), [], checks=tab), 5) == [], "a WebSocket was open"


def test_a_persons_stop_or_start_ends_the_replayed_sleep() -> None:
    at = NOW + timedelta(minutes=90)
    for kind, status, back in (
        ("stop", Status.STOPPING, None),
        ("restart", Status.RESTARTING, at),
        ("destroy", Status.DESTROYING, None),
    ):
        moved = Moved(at, kind, Status.RUNNING, status, automatic=False)
        [stop] = stops_of(past_of(set(), [False] * SLOTS, moves=[moved]), 30)
        assert (stop.ended_at, stop.back_at) == (at, back), kind


def test_a_restart_by_a_rule_would_not_have_been_and_ends_nothing() -> None:
    at = NOW + timedelta(minutes=90)
    moved = Moved(at, "restart", Status.UNHEALTHY, Status.RESTARTING, True, "three strikes")
    done = Moved(at + PERIOD, "restart_done", Status.RESTARTING, Status.RUNNING, True)
    [stop] = stops_of(past_of(set(), [False] * SLOTS, moves=[moved, done]), 30)
    assert stop.ended_at is None


def test_held_back_spans_stop_nobody() -> None:
    until = NOW + timedelta(minutes=120)
    [stop] = stops_of(past_of(set(), [False] * SLOTS, pauses=[(NOW, until)]), 30)
    assert stop.at >= until
    assert stops_of(past_of(set(), [False] * SLOTS, pauses=[(NOW, None)]), 30) == []
