"""What the tests of reconciliation share."""

import pytest

from tests.world import World


@pytest.fixture
def world() -> World:
    """A simulated outside."""
    return World()
