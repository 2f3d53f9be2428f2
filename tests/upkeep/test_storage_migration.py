"""How the busiest tables lie on PostgreSQL: set by migration, and taken back."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.db import connection

from tests.factories import make_town
from tests.migrating import go_to, names, start_afresh
from towns.models import HealthCheck
from towns.upkeep.partitions import DAY, DEFAULT, midnight, name_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such settings"),
]
TODAY = midnight(datetime.now(UTC))
AFTER = "0032_storage"
BY_SLOT, BY_TOWN = "(slot, town_id)", "(town_id, slot)"


@pytest.fixture(autouse=True)
def before() -> Iterator[None]:
    """As it was before the migration."""
    go_back()
    yield
    start_afresh()


def go_back() -> None:
    go_to(names()[names().index(AFTER) - 1])


def ask(sql: str) -> Any:
    """One value."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def options() -> Any:
    return ask("SELECT reloptions FROM pg_class WHERE oid = 'towns_town'::regclass")


def index_of(partition: str) -> str:
    """The columns of its rule."""
    told = ask(f"SELECT indexdef FROM pg_indexes WHERE indexname = '{partition}_slot'")
    assert told.startswith("CREATE UNIQUE INDEX")
    assert told.endswith("WHERE (slot IS NOT NULL)")
    [columns] = [text for text in (BY_SLOT, BY_TOWN) if text in told]
    return columns


def test_pages_of_towns_keep_room_for_what_a_sweep_writes() -> None:
    assert options() is None
    go_to(AFTER)
    assert options() == ["fillfactor=85"]
    go_back()
    assert options() is None


def test_partitions_without_rows_get_the_index_that_begins_with_the_slot() -> None:
    tomorrow = name_of(TODAY + DAY)
    assert index_of(tomorrow) == BY_TOWN
    go_to(AFTER)
    assert {index_of(tomorrow), index_of(DEFAULT), index_of(name_of(TODAY))} == {BY_SLOT}
    go_back()
    assert {index_of(tomorrow), index_of(DEFAULT), index_of(name_of(TODAY))} == {BY_TOWN}


def test_a_partition_with_rows_keeps_its_index_and_its_rows() -> None:
    at = datetime.now(UTC)
    HealthCheck.objects.create(town=make_town(), slot=at, checked_at=at, result="ok")
    go_to(AFTER)
    assert index_of(name_of(at)) == BY_TOWN
    assert index_of(name_of(at + DAY)) == BY_SLOT
    assert HealthCheck.objects.count() == 1


def test_a_partition_that_is_in_use_is_left_as_it_is() -> None:
    tomorrow = name_of(TODAY + DAY)
    given = connection.get_connection_params() | {"cursor_factory": None}
    with psycopg.connect(**given) as other:
        other.execute(f"SELECT count(*) FROM {tomorrow}")
        go_to(AFTER)
        assert index_of(tomorrow) == BY_TOWN
    assert index_of(name_of(TODAY + 2 * DAY)) == BY_SLOT
