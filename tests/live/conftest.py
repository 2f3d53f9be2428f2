"""What the tests of the WebSocket share: a town."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import make_town
from towns.models import Town


@pytest.fixture
def town() -> Town:
    """One that runs, and was last used an hour ago."""
    return make_town(last_interaction_at=timezone.now() - timedelta(hours=1))
