"""Signs of use cost few writes, however many callers there are."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from tests.factories import NOW, make_town
from towns.interactions import message_due_at, touch, websocket_message, websocket_seen
from towns.models import Town
from towns.words import InteractionKind

pytestmark = pytest.mark.django_db
COALESCE = timedelta(seconds=30)
SECOND = timedelta(seconds=1)
LATER = NOW + COALESCE
CLOCKS = ("last_interaction_at", "websocket_message_at", "websocket_seen_at")


def stored(town: Town) -> dict[str, Any]:
    found: dict[str, Any] = Town.objects.values(*CLOCKS, "last_interaction_kind").get(pk=town.pk)
    return found


def at_once(does: Callable[[], bool], times: int = 16) -> int:
    """How many of so many callers at the same moment wrote."""
    wrote: list[bool] = []
    gate = threading.Barrier(times)

    def call() -> None:
        try:
            connections["default"].ensure_connection()
            gate.wait(30)
            wrote.append(does())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=call) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrote) == times, "somebody got no answer"
    return wrote.count(True)


def test_it_works() -> None:
    town = make_town()
    assert touch(town, kind=InteractionKind.API, now=LATER)
    assert town.last_interaction_at == LATER
    assert (stored(town)["last_interaction_at"], town.last_interaction_kind) == (LATER, "api")


def test_a_fresh_row_costs_no_statement(django_assert_num_queries: Any) -> None:
    town = make_town()
    with django_assert_num_queries(0):
        assert not touch(town, kind=InteractionKind.API, now=LATER - SECOND)


def test_who_comes_too_late_learns_what_is_stored_and_asks_no_more(
    django_assert_num_queries: Any,
) -> None:
    town = make_town()
    late = Town.objects.get(pk=town.pk)
    touch(town, kind=InteractionKind.VISIT, now=LATER)
    with django_assert_num_queries(2):  # tries to write, looks
        assert not touch(late, kind=InteractionKind.API, now=LATER + SECOND)
    assert (late.last_interaction_at, late.last_interaction_kind) == (LATER, "visit")
    with django_assert_num_queries(0):
        assert not touch(late, kind=InteractionKind.API, now=LATER + COALESCE - SECOND)


def test_a_message_is_one_write_for_all_that_it_says(django_assert_num_queries: Any) -> None:
    town = make_town()
    with django_assert_num_queries(1):
        assert websocket_message(town, LATER)
    assert stored(town) == {**dict.fromkeys(CLOCKS, LATER), "last_interaction_kind": "websocket"}
    with django_assert_num_queries(0):
        assert not websocket_message(town, LATER + COALESCE - SECOND)
        assert not websocket_seen(town, LATER + COALESCE - SECOND)
        assert not touch(town, kind=InteractionKind.API, now=LATER + COALESCE - SECOND)


def test_a_message_right_after_a_visit_is_written_since_it_keeps_the_connection_open() -> None:
    town = make_town()
    touch(town, kind=InteractionKind.VISIT, now=LATER)
    assert websocket_message(town, LATER + SECOND)


def test_a_message_that_was_held_up_sets_no_clock_back() -> None:
    town = make_town()
    held_up = Town.objects.get(pk=town.pk)
    touch(town, kind=InteractionKind.VISIT, now=LATER + 2 * COALESCE)
    websocket_seen(town, LATER + 2 * COALESCE)
    assert websocket_message(held_up, LATER)
    assert stored(town) == {
        "last_interaction_at": LATER + 2 * COALESCE,
        "websocket_message_at": LATER,
        "websocket_seen_at": LATER + 2 * COALESCE,
        "last_interaction_kind": "websocket",
    }


def test_a_message_is_due_when_the_older_of_its_clocks_is_stale() -> None:
    assert message_due_at(make_town()) is None, "there never was one"
    town = make_town(last_interaction_at=NOW + SECOND, websocket_message_at=NOW)
    assert message_due_at(town) == LATER
    assert not websocket_message(town, LATER - timedelta(microseconds=1))
    assert websocket_message(town, LATER)


def test_a_town_that_is_gone_is_no_error() -> None:
    town = make_town()
    Town.objects.filter(pk=town.pk).delete()
    assert not touch(town, kind=InteractionKind.API, now=LATER)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("message", [False, True])
def test_sixteen_at_once_make_one_write(message: bool) -> None:
    town = make_town()

    def once() -> bool:
        mine = Town(pk=town.pk, last_interaction_at=NOW)
        if message:
            return websocket_message(mine, LATER)
        return touch(mine, kind=InteractionKind.API, now=LATER)

    assert at_once(once) == 1
    assert stored(town)["last_interaction_at"] == LATER
