"""What health checks note of a town's use, for replays to come."""

from datetime import timedelta

import pytest

from tests.replay.days import Days
from towns import interactions
from towns.models import HealthCheck, Town

pytestmark = pytest.mark.django_db


def newest(days: Days) -> HealthCheck:
    """The last check of the one town."""
    days.slots(1)
    return HealthCheck.objects.latest("id")


def test_it_works() -> None:
    days = Days()
    days.visit()
    came = days.town().last_interaction_at
    check = newest(days)
    assert (check.last_interaction_at, check.connected) == (came, False)
    interactions.websocket_message(days.town(), days.now)
    assert newest(days).connected is True
    assert newest(days).connected is False, "nobody says any more that it is open"


def test_a_check_made_by_a_start_notes_it_too() -> None:
    Days()
    assert not HealthCheck.objects.filter(connected=None).exists()
    assert HealthCheck.objects.filter(slot=None).exists(), "its provisioning made one"


def test_a_town_that_nobody_ever_used_is_not_unknown() -> None:
    days = Days()
    Town.objects.update(last_interaction_at=None, awake_since=days.now - timedelta(minutes=1))
    check = newest(days)
    assert (check.last_interaction_at, check.connected) == (None, False)
