"""Restarts decided again, and breakers: no database."""

from datetime import timedelta
from uuid import UUID

import pytest

from tests.factories import NOW
from towns.replay.breakers import breaker_spans
from towns.replay.past import Choices, Moved, Seen, TownPast
from towns.replay.restarts import RestartReplay
from towns.replay.scenario import scenario_of_now, scenario_with
from towns.words import CheckResult, Status

PERIOD = timedelta(minutes=3)
OK, FAILED, UNKNOWN = CheckResult.OK, CheckResult.FAILED, CheckResult.UNKNOWN


def at(slot: float) -> object:
    """The moment of a slot."""
    return NOW + slot * PERIOD


def replayed(
    results: list[CheckResult], *changes: str, moves: tuple[Moved, ...] = (), **fields: object
) -> RestartReplay:
    """A town with a check each slot, decided again."""
    values: dict[str, object] = {
        "town": UUID(int=1),
        "name": "ada/mill",
        "begins": NOW,
        "status": Status.RUNNING,
        "choices": Choices(idle_timeout_minutes=30, auto_stop=True),
        "checks": [
            Seen(NOW + slot * PERIOD, result, None, None, None, False)
            for slot, result in enumerate(results)
        ],
        "moves": moves,
    }
    past = TownPast(**{**values, **fields})  # type: ignore[arg-type]  # of any field
    replay = RestartReplay(past, scenario_with(changes), PERIOD)
    replay.run()
    return replay


def restart(slot: float, rule: str = "three strikes") -> Moved:
    """A restart that really was."""
    moment = NOW + slot * PERIOD
    return Moved(moment, "restart", Status.UNHEALTHY, Status.RESTARTING, True, rule)


@pytest.mark.parametrize(
    ("results", "change", "slots"),
    [
        ([OK, FAILED, FAILED, OK, FAILED, FAILED], "FAILURES_BEFORE_RESTART=3", []),
        ([OK, FAILED, FAILED, OK, FAILED, FAILED], "FAILURES_BEFORE_RESTART=2", [2, 5]),
        ([FAILED, UNKNOWN, FAILED, FAILED], "FAILURES_BEFORE_RESTART=3", [3]),
        ([FAILED, FAILED, FAILED, FAILED], "FAILURES_BEFORE_RESTART=1", [0]),
    ],
    ids=["too few", "fewer", "unknown counts nothing", "once an episode"],
)
def test_it_works(results: list[CheckResult], change: str, slots: list[int]) -> None:
    assert replayed(results, change).would_restart == [at(slot) for slot in slots]


def test_a_real_restart_is_the_same_one_a_moment_later() -> None:
    replay = replayed([OK, FAILED, FAILED, FAILED], moves=(restart(3.1),))
    assert replay.would_restart == replay.restarted == [at(3.1)]


def test_more_failures_asked_for_restart_as_much_later() -> None:
    moves = (restart(3.1),)
    replay = replayed([OK, FAILED, FAILED, FAILED], "FAILURES_BEFORE_RESTART=5", moves=moves)
    assert replay.would_restart == [at(5.1)]


def test_a_lower_limit_gives_up_and_stays_so_until_it_is_well() -> None:
    results = [OK, FAILED, FAILED, FAILED, FAILED, FAILED, FAILED, OK, FAILED, FAILED, FAILED]
    moves = (restart(3.1), restart(6.1))
    same = replayed(results, moves=moves)
    assert same.would_restart == [at(3.1), at(6.1), at(10)]
    low = replayed(results, "RESTART_LIMIT=1", "RESTART_WINDOW_MINUTES=10", moves=moves)
    assert low.would_give_up == [at(6)]
    assert low.would_restart == [at(3.1), at(10)], "after it was well it is restarted anew"


def test_a_higher_limit_restarts_where_it_was_really_given_up() -> None:
    moves = (
        *(restart(slot) for slot in (3.1, 6.1, 9.1)),
        Moved(NOW + 12.1 * PERIOD, "restart_limit", Status.UNHEALTHY, Status.ERROR, True),
    )
    results = [OK, *[FAILED] * 12]
    assert replayed(results, moves=moves).would_give_up == [at(12.1)]
    more = replayed(results, "RESTART_LIMIT=9", moves=moves)
    assert (more.given_up, more.would_give_up) == ([at(12.1)], [])
    assert len(more.would_restart) == 4


def test_drifted_machines_and_people_restart_without_being_counted() -> None:
    mine = Moved(NOW, "restart", Status.RUNNING, Status.RESTARTING, automatic=False)
    replay = replayed([OK, OK], moves=(mine, restart(1.1, rule="drift")))
    assert (replay.restarted, replay.would_restart) == ([], [])


def test_while_held_back_only_what_really_was_is_done() -> None:
    spans = [(NOW, NOW + 10 * PERIOD)]
    assert replayed([FAILED] * 5, pauses=spans).would_restart == []
    canary = replayed([FAILED] * 5, pauses=spans, moves=(restart(4.1),))
    assert canary.would_restart == [at(4.1)], "a canary"
    held = Choices(idle_timeout_minutes=30, auto_stop=True, hold_reason="look")
    assert replayed([FAILED] * 5, choices=held).would_restart == []


SWEEPS = [
    (NOW, {"fleet": [20, 0, 0]}),
    (NOW + PERIOD, {"fleet": [20, 6, 6]}),
    (NOW + 2 * PERIOD, {"fleet": [20, 1, 7]}),
    (NOW + 3 * PERIOD, {"fleet": [20, 0, 2]}),
    (NOW + 4 * PERIOD, {"fleet": [20, 0, 0]}),
]


def test_a_breaker_stands_until_its_canary_healed() -> None:
    health = scenario_of_now().health
    assert breaker_spans(SWEEPS, health) == {"fleet": [(at(1), at(4))]}
    assert breaker_spans(SWEEPS[:2], health) == {"fleet": [(at(1), None)]}


def test_a_higher_line_opens_none() -> None:
    assert breaker_spans(SWEEPS, scenario_with(["BREAKER_PERCENT=40"]).health) == {}
    assert breaker_spans(SWEEPS, scenario_with(["BREAKER_MIN_TOWNS=7"]).health) == {}
