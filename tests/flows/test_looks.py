"""How often a step looks again: quickly at first, and less often when there are very many."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towns.flows.looks import LOOKS_PER_SECOND, least_wait, patience

seconds = st.floats(-10, 100_000)


@pytest.mark.parametrize(
    ("waited", "least", "expected"),
    [(0, 0, 0), (5, 0, 0.5), (60, 0, 6), (3600, 0, 10), (5, 4, 4), (3600, 20, 20), (-5, 0, 0)],
)
def test_it(waited: float, least: float, expected: float) -> None:
    assert patience(waited, least=least) == pytest.approx(expected)


@given(seconds, seconds, st.floats(0, 100))
def test_who_waits_longer_never_looks_sooner(a: float, b: float, least: float) -> None:
    assert least <= patience(min(a, b), least=least) <= patience(max(a, b), least=least)


@pytest.mark.parametrize(
    ("operations", "drivers", "expected"),
    [(1, 1, 0.004), (250, 1, 1), (10_000, 1, 40), (10_000, 2, 20), (10_000, 0, 40), (0, 2, 0)],
)
def test_more_drivers_look_more_often(operations: int, drivers: int, expected: float) -> None:
    assert least_wait(operations, drivers) == pytest.approx(expected)


@given(st.integers(300, 10_000), st.integers(1, 4))
def test_none_of_those_that_wait_is_looked_at_late(operations: int, drivers: int) -> None:
    """They begin all at once; from then on each comes when it is due, at a look in 2 ms a core."""
    due = [0.0] * operations
    takes = 1 / (LOOKS_PER_SECOND * drivers * 1.5)
    free, late = 0.0, [0.0]
    for look in range(3 * operations):
        at = heapq.heappop(due)
        begins = max(free, at)
        free = begins + takes
        if look >= operations:
            late.append(begins - at)
        heapq.heappush(due, begins + max(1.0, patience(0, least=least_wait(operations, drivers))))
    assert max(late) < 0.5
