"""Episodes in close succession, by example and by property."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW
from towns.flapping import Flapping, FlappingRules, episode_began, over_at, was_well

RULES = FlappingRules(window=timedelta(minutes=30), episodes=4)


def live(*pauses: int, down: int = 3) -> tuple[Flapping, int]:
    """A life of episodes of `down` minutes with so many minutes before each, in
    which it is checked every minute; and its length."""
    known, minutes = Flapping(), 0
    for pause in pauses:
        for minute in range(pause):
            known = was_well(known, NOW + timedelta(minutes=minutes + minute), RULES)
        minutes += pause
        known = episode_began(known, NOW + timedelta(minutes=minutes), RULES)
        minutes += down
        end = NOW + timedelta(minutes=minutes)
        known = was_well(Flapping(known.count, end, known.since), end, RULES)
    return known, minutes


def test_it_works() -> None:
    known, _ = live(0, 6, 6, 6)
    assert known.count == 4
    assert known.since == NOW + timedelta(minutes=27)


def test_three_episodes_are_no_flapping() -> None:
    assert live(0, 6, 6)[0].since is None


def test_a_quiet_window_between_begins_anew() -> None:
    assert live(0, 6, 6, 30)[0].count == 1
    assert live(0, 6, 6, 30)[0].since is None
    assert live(0, 6, 6, 29)[0].since is not None


def test_a_long_episode_is_no_quiet_window() -> None:
    """The window is counted from its end, not from its beginning."""
    known, minutes = live(0, 6, 6, 6, down=40)
    assert known.since is not None
    soon = NOW + timedelta(minutes=minutes + 29)
    assert was_well(known, soon, RULES).since is not None
    assert was_well(known, soon + timedelta(minutes=1), RULES) == Flapping(0, known.ended_at, None)


def test_it_says_when_it_is_over() -> None:
    known, minutes = live(0, 6, 6, 6)
    assert over_at(known, RULES) == NOW + timedelta(minutes=minutes + 30)
    assert over_at(Flapping(), RULES) is None


@given(pauses=st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_it_flaps_exactly_after_four_in_a_row_and_until_a_quiet_window(pauses: list[int]) -> None:
    known, minutes = live(*pauses)
    run, flaps = 1, False
    for pause in pauses[1:]:
        run, flaps = (run + 1, flaps) if pause < 30 else (1, flaps and pause == 30)
        flaps = flaps or run >= 4
    assert (known.since is not None) == flaps
    late = was_well(known, NOW + timedelta(minutes=minutes + 30), RULES)
    assert late.since is None
