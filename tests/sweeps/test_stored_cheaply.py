"""A sweep of healthy towns leaves the indexes of the towns alone (HOT updates), on PostgreSQL."""

from datetime import timedelta

import pytest
from django.db import connection

from tests.factories import NOW, make_town
from tests.sweeps.fakes import FakeFleet
from towns.models import HealthCheck, Town
from towns.sweeps.health import sweep_fleet

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such updates"),
]


@pytest.fixture(autouse=True)
def fresh_pages() -> None:
    """What other tests left of their towns may fill the page that these come to."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE towns_town CASCADE")


def sweep(fleet: FakeFleet, number: int) -> tuple[int, int]:
    """How many rows of towns it wrote, and how many of them without a word to an index."""
    fleet.clock.moment = NOW + timedelta(minutes=3 * number)
    updated, hot = written()
    sweep_fleet(fleet.clock.moment, fleet.services)
    updated_then, hot_then = written()
    return updated_then - updated, hot_then - hot


def written() -> tuple[int, int]:
    """In this transaction so far."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_stat_get_xact_tuples_updated(oid), pg_stat_get_xact_tuples_hot_updated(oid) "
            "FROM pg_class WHERE oid = 'towns_town'::regclass"
        )
        updated, hot = cursor.fetchone()
    return updated, hot


def test_healthy_towns_are_stored_without_their_indexes(fleet: FakeFleet) -> None:
    for _ in range(3):
        make_town()
    assert [sweep(fleet, number) for number in range(2)] == [(3, 3), (3, 3)]
    assert HealthCheck.objects.count() == 6


def test_an_episode_begins_and_ends_with_a_word_to_the_index_of_those_that_fail(
    fleet: FakeFleet,
) -> None:
    """So the test above would notice an index on what a sweep changes."""
    town = make_town()
    fleet.break_town(town)
    assert sweep(fleet, 0) == (1, 0)
    assert sweep(fleet, 1) == (1, 1), "it goes on failing"
    fleet.mend_town(town)
    assert sweep(fleet, 2) == (1, 0)
    assert Town.objects.get().episode_since is None
