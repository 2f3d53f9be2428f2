"""What the tests of sweeps share."""

import pytest

from tests.sweeps.fakes import FakeFleet


@pytest.fixture
def fleet() -> FakeFleet:
    """The outside, all well."""
    return FakeFleet()
