"""A stamp changes when what a page shows has changed."""

from datetime import timedelta

import pytest
from django.db.models import F
from pytest_django import DjangoAssertNumQueries

from tests.factories import NOW, make_operation, make_town
from towns import history
from towns.history import Actor
from towns.live.stamps import FLEET, read_stamps, town_topic
from towns.models import Alert, Operation, Town
from towns.words import OperationKind

pytestmark = pytest.mark.django_db


def stamp(town: Town) -> str:
    return read_stamps([town_topic(town.pk)])[town_topic(town.pk)]


def test_it_stays_while_nothing_happens() -> None:
    town = make_town()
    assert stamp(town) == stamp(town)


def test_whatever_the_page_shows_changes_it() -> None:
    town = make_town()
    seen = {stamp(town)}

    def changed(what: str) -> None:
        now = stamp(town)
        assert now not in seen, what
        seen.add(now)

    Town.objects.update(last_checked_at=NOW)
    changed("a check")
    Town.objects.update(idle_timeout_minutes=F("idle_timeout_minutes") + 1)
    changed("a setting")
    make_operation(town, OperationKind.STOP)
    changed("an operation")
    Operation.objects.update(step="another")
    changed("a step")
    Operation.objects.update(attempt=1)
    changed("an attempt")
    Alert.objects.create(
        town=town,
        cause="x",
        subject=str(town.pk),
        severity="warning",
        message="",
        opened_at=NOW,
        seen_at=NOW,
    )
    changed("an alert")
    Alert.objects.update(resolved_at=NOW + timedelta(seconds=1))
    assert stamp(town) in seen, "as before the alert"


def test_an_event_changes_the_town_and_the_fleet_and_no_other_town() -> None:
    town, other = make_town(), make_town()
    topics = [FLEET, town_topic(town.pk), town_topic(other.pk)]
    before = read_stamps(topics)
    history.record(town, "looked_at", actor=Actor("tester", automatic=False), now=NOW)
    after = read_stamps(topics)
    assert {topic for topic in topics if before[topic] != after[topic]} == {
        FLEET,
        town_topic(town.pk),
    }


def test_a_town_that_is_gone_has_one_too() -> None:
    topic = "town:00000000-0000-0000-0000-000000000000"
    assert set(read_stamps([topic])) == {topic}


@pytest.mark.parametrize("towns", [1, 20])
def test_the_statements_are_as_many_for_one_as_for_all(
    towns: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    topics = [FLEET, *(town_topic(make_town().pk) for _ in range(towns))]
    with django_assert_num_queries(5):
        read_stamps(topics)
