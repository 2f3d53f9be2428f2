"""From a plain table of health checks, which is huge and written to, to partitions."""

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from tests.migrating import FIRST, fill, go_to, names, start_afresh, state
from tests.world import World
from towns.models import HealthCheck, HealthHour
from towns.upkeep import partitions, prune
from towns.upkeep.partitions import DAY, TABLE, make_ahead, midnight

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no partitions"),
]
BEFORE = f"{TABLE}_before"
migration: Any = importlib.import_module("towns.migrations.0004_health_history")


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    """The tables before the migration, with four checks, the oldest of 40 days ago."""
    go_to(FIRST)
    fill(state(FIRST))
    go_to("0003")
    assert not partitions.is_partitioned()
    yield
    start_afresh()


def ask(sql: str) -> Any:
    """One value."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
    return None if row is None else row[0]


def rule() -> Any:
    return ask(f"SELECT conname FROM pg_constraint WHERE conname = '{migration.BOUND}'")


def test_the_old_table_becomes_a_partition_and_no_row_is_copied() -> None:
    file = ask(f"SELECT relfilenode FROM pg_class WHERE oid = '{TABLE}'::regclass")
    with CaptureQueriesContext(connection) as captured:
        go_to("0004")
    assert ask(f"SELECT relfilenode FROM pg_class WHERE oid = '{BEFORE}'::regclass") == file
    [under_lock] = [
        q["sql"] for q in captured if "ATTACH PARTITION" in q["sql"] and "before" in q["sql"]
    ]
    assert "USING INDEX" in under_lock, "the key's index was built before"
    built = [
        q["sql"]
        for q in captured
        if "INDEX" in q["sql"] and f"ON {TABLE} (id, checked_at)" in q["sql"]
    ]
    assert ["CONCURRENTLY" in sql for sql in built] == [True]
    assert ask(f"SELECT count(*) FROM {BEFORE}") == HealthCheck.objects.count() == 4
    assert rule() is None, "the partition's bound has taken its place"


def test_attaching_reads_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL says so where it takes the proof instead."""
    notices: list[str] = []
    connection.ensure_connection()
    connection.connection.add_notice_handler(lambda told: notices.append(told.message_primary))
    with connection.cursor() as cursor:
        cursor.execute("SET client_min_messages = debug1")
        try:
            go_to("0004")
        finally:
            cursor.execute("RESET client_min_messages")
    implied = f'partition constraint for table "{BEFORE}" is implied by existing constraints'
    assert implied in notices


def test_what_is_stored_meanwhile_goes_on_in_the_old_table_until_its_bound() -> None:
    go_to("0004")
    first, *others = partitions.partitions()
    now = datetime.now(UTC)
    assert (first.name, first.since, first.until) == (BEFORE, None, midnight(now) + 3 * DAY)
    assert [one.since for one in others] == [midnight(now) + n * DAY for n in range(3, 8)]


def test_the_old_table_is_dropped_when_its_youngest_row_is_old() -> None:
    go_to(names()[-1])
    later = datetime.now(UTC) + timedelta(days=16)
    assert prune.prune(later, r2=World().services.r2).partitions_dropped == 0
    done = prune.prune(later + DAY, r2=World().services.r2)
    assert (done.partitions_dropped, done.removed["health_checks"]) == (1, 4)
    assert sum(HealthHour.objects.values_list("checks", flat=True)) == 4
    assert ask(f"SELECT to_regclass('{BEFORE}')") is None


def test_an_empty_table_is_not_kept() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE}")
    go_to("0004")
    assert BEFORE not in {one.name for one in partitions.partitions()}
    assert len(partitions.partitions()) == 8


def test_it_is_run_again_after_a_crash_between_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(migration, "_swap", crash)
        with pytest.raises(KeyboardInterrupt):
            go_to("0004")
    assert not partitions.is_partitioned()
    go_to("0004")
    assert partitions.is_partitioned()
    assert HealthCheck.objects.count() == 4


def test_a_proof_that_fails_leaves_no_rule_that_would_refuse_checks_one_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(migration, "SPARE_DAYS", -1)  # a row lies after such a bound
    with pytest.raises(Exception, match=migration.BOUND):
        go_to("0004")
    assert rule() is None


def test_a_lock_that_is_held_ends_in_an_error_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(migration, "TRIES", 2)
    given = connection.get_connection_params() | {"cursor_factory": None}
    with psycopg.connect(**given) as other:
        go_to("0003")
        other.execute(f"SELECT count(*) FROM {TABLE}")
        # Building the index would wait for this reader; as if that was done.
        monkeypatch.setattr(migration, "_prepare", lambda *_: None)
        with pytest.raises(OperationalError, match="lock timeout"):
            go_to("0004")
    assert not partitions.is_partitioned()


def test_the_way_back_keeps_what_lies_in_all_partitions() -> None:
    go_to("0004")
    checks = state("0004_health_history").get_model("towns", "HealthCheck")._default_manager
    now, town = datetime.now(UTC), checks.latest("pk").town_id
    for days in (-60, 0, 5, 30):
        checks.create(town_id=town, checked_at=now + days * DAY, result="ok")
    make_ahead(now)
    kept = list(checks.order_by("pk").values())
    go_to("0003")
    assert list(checks.order_by("pk").values()) == kept
    assert (
        ask("SELECT count(*) FROM pg_class WHERE relname ~ 'healthcheck_(2|before|default)'") == 0
    )
