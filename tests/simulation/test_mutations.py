"""The checker bites: a defect that breaks an invariant is found within 200 seeds."""

import pytest

from .fleet import Fleet
from .mutations import MUTATIONS

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]
SEEDS = 200


def test_every_invariant_has_its_defect() -> None:
    assert sorted(MUTATIONS) == list(range(1, 12))


@pytest.mark.parametrize("invariant", MUTATIONS)
def test_a_defect_is_found(invariant: int) -> None:
    mutation = MUTATIONS[invariant]
    others = set()
    with Fleet(mutation.towns) as fleet, mutation.defect():
        for seed in range(SEEDS):
            found = fleet.outcome(mutation.plan(seed))
            if found is None:
                continue
            if found.invariant == invariant or (
                mutation.refused and "IntegrityError" in str(found)
            ):
                return
            others.add(str(found))
    pytest.fail(f"no seed of {SEEDS} broke invariant {invariant}, but {sorted(others)[:5]}")
