"""A few seeds in every test run; `make simulate` runs hundreds."""

import pytest

from .plan import make_plan
from .shrink import outcome, shortest_history
from .simulation import Simulation

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]


@pytest.mark.parametrize("seed", range(5))
def test_the_invariants_hold(seed: int) -> None:
    plan = make_plan(seed, towns=5, hours=1, busy=6)
    if (violation := outcome(plan)) is not None:
        pytest.fail(shortest_history(plan, violation))


def test_a_seed_replays_exactly() -> None:
    def told(seed: int) -> list[str]:
        sim = Simulation(make_plan(seed, towns=4, hours=0.5, busy=8))
        sim.run()
        return sim.checker.history

    assert told(7) == told(7)
    assert told(7), "something happened"
