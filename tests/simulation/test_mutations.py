"""The checker bites: a defect that breaks an invariant is found within 200 seeds."""

import pytest

from .mutations import MUTATIONS
from .plan import make_plan
from .shrink import outcome

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]
SEEDS = 200


@pytest.mark.parametrize("invariant", MUTATIONS)
def test_a_defect_is_found(invariant: int) -> None:
    others = set()
    with MUTATIONS[invariant]():
        for seed in range(SEEDS):
            found = outcome(make_plan(seed, towns=4, hours=1, busy=8))
            if found is not None:
                if found.invariant in (invariant, 0):
                    return
                others.add(found.invariant)
    pytest.fail(f"no seed of {SEEDS} broke invariant {invariant}, but {sorted(others)}")
