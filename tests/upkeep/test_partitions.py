"""Health checks in daily partitions: PostgreSQL alone."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.api.conftest import JsonClient
from tests.factories import make_town, make_user
from tests.world import World
from towns.models import HealthCheck, HealthHour, Town
from towns.upkeep import partitions, prune
from towns.upkeep.partitions import DAY, DEFAULT, TABLE, Busy, make_ahead, midnight, name_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no partitions"),
]
NOW = datetime.now(UTC)
TODAY = midnight(NOW)


@pytest.fixture(autouse=True)
def as_after_migrate() -> Iterator[None]:
    """The partitions of today and of a week ahead, and no others."""

    def clear() -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {TABLE}")
            for partition in partitions.partitions():
                cursor.execute(f"DROP TABLE {partition.name}")
        make_ahead(NOW)

    clear()
    yield
    clear()


def ask(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def where() -> dict[str, int]:
    """How many checks lie in which partition."""
    return dict(ask(f"SELECT tableoid::regclass::text, count(*) FROM {TABLE} GROUP BY 1"))


def check(town: Town, at: datetime, **fields: Any) -> HealthCheck:
    return HealthCheck.objects.create(town=town, checked_at=at, **{"result": "ok", **fields})


def many_checks(towns: int, days: int) -> list[Town]:
    """One of each town every 15 minutes, in partitions of past days: as many towns and rows as it
    takes for the planner to do what it does with millions."""
    owner = make_user()
    found = [make_town(owner=owner) for _ in range(towns)]
    for number in range(1, days):
        with transaction.atomic(), connection.cursor() as cursor:
            partitions._make(TODAY - number * DAY, cursor)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} (town_id, slot, checked_at, result, kind, reason) "
            "SELECT id, at, at, 'ok', '', '' FROM towns_town, "
            "generate_series(%s::timestamptz, %s, interval '15 minutes') at",
            [TODAY - (days - 1) * DAY, TODAY + DAY - timedelta(minutes=15)],
        )
        cursor.execute(f"ANALYZE {TABLE}")
    return found


def scanned(sql: str) -> dict[str, str]:
    """What the planner does: the index, or the kind of scan, for each partition it reads."""
    [(told,)] = ask(f"EXPLAIN (FORMAT JSON) {sql}")
    [plan] = json.loads(told) if isinstance(told, str) else told
    found: dict[str, str] = {}

    def look(node: dict[str, Any]) -> None:
        if str(node.get("Relation Name", "")).startswith(TABLE):
            below = node["Plans"][0] if node["Node Type"] == "Bitmap Heap Scan" else node
            found[node["Relation Name"]] = below.get("Index Name", node["Node Type"])
        for child in node.get("Plans", []):
            look(child)

    look(plan["Plan"])
    return found


def selects(work: Callable[[], object]) -> list[str]:
    """The statements of a page that read checks."""
    with CaptureQueriesContext(connection) as captured:
        work()
    return [q["sql"] for q in captured if f'FROM "{TABLE}"' in q["sql"]]


@contextmanager
def a_long_reader() -> Iterator[None]:
    """Another session whose transaction has read checks and doesn't end."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
        other.execute(f"SELECT count(*) FROM {TABLE}")
        yield


def test_partitions_are_there_after_migrate() -> None:
    made = [name_of(TODAY + number * DAY) for number in range(8)]
    assert [partition.name for partition in partitions.partitions()] == made
    assert make_ahead(NOW) == []
    assert make_ahead(NOW + 2 * DAY) == [name_of(TODAY + 8 * DAY), name_of(TODAY + 9 * DAY)]


def test_a_check_goes_to_the_partition_of_its_day() -> None:
    town = make_town()
    check(town, TODAY)
    check(town, TODAY + DAY - timedelta(microseconds=1))
    check(town, TODAY + DAY)
    assert where() == {name_of(TODAY): 2, name_of(TODAY + DAY): 1}


def test_a_check_of_a_day_without_partition_is_stored_and_moved_later() -> None:
    town = make_town()
    late = [check(town, TODAY + 9 * DAY), check(town, TODAY - 3 * DAY), check(town, TODAY)]
    assert where()[DEFAULT] == 2
    before = list(HealthCheck.objects.order_by("pk").values())
    assert make_ahead(NOW) == [name_of(TODAY - 3 * DAY)]
    assert make_ahead(NOW + 2 * DAY) == [name_of(TODAY + 8 * DAY), name_of(TODAY + 9 * DAY)]
    assert DEFAULT not in where()
    assert list(HealthCheck.objects.order_by("pk").values()) == before
    assert {one.pk for one in late} == set(HealthCheck.objects.values_list("pk", flat=True))


def test_a_town_has_one_check_per_slot_in_every_partition() -> None:
    town = make_town()
    for at in (TODAY, TODAY - 3 * DAY):
        check(town, at, slot=at)
        with pytest.raises(IntegrityError), transaction.atomic():
            check(town, at + timedelta(seconds=1), slot=at)
    make_ahead(NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        check(town, TODAY - 3 * DAY, slot=TODAY - 3 * DAY)


def test_a_check_needs_its_town() -> None:
    with pytest.raises(IntegrityError):
        HealthCheck.objects.create(town_id=uuid4(), checked_at=NOW, result="ok")


def test_the_latest_checks_of_a_town_come_by_its_index_in_each_partition(
    client: Client, django_user_model: type[User]
) -> None:
    towns = many_checks(400, days=4)
    owner = towns[7].owner
    api = JsonClient()
    api.force_login(owner)
    cursor = api.send("get", f"/towns/{towns[7].pk}/health?limit=200").json()["next_cursor"]
    client.force_login(django_user_model.objects.create_superuser("root"))
    for read in (
        lambda: list(towns[7].health_checks.order_by("-checked_at")[:10]),
        lambda: api.send("get", f"/towns/{towns[7].pk}/health"),
        lambda: api.send("get", f"/towns/{towns[7].pk}/health?cursor={cursor}"),
        lambda: client.get(f"/admin/towns/healthcheck/?town__id__exact={towns[7].pk}"),
    ):
        statements = selects(read)
        assert statements
        for sql in statements:
            found = scanned(sql)
            filled = found.keys() & where().keys()  # in an empty one any index will do
            assert len(filled) >= 2
            for name in filled:
                assert "town_id" in found[name], f"{name} is read by {found[name]}: {sql}"


def test_a_list_of_a_day_reads_one_partition(client: Client, django_user_model: type[User]) -> None:
    many_checks(400, days=4)
    client.force_login(django_user_model.objects.create_superuser("root"))
    day = TODAY - 2 * DAY
    statements = selects(lambda: client.get(f"/admin/towns/healthcheck/?day={day:%Y-%m-%d}"))
    assert len(statements) >= 2, "count and rows"
    for sql in statements:
        assert set(scanned(sql)) == {name_of(day)}, sql


def test_old_days_are_dropped_whole_once_their_hours_are_kept() -> None:
    town = make_town()
    for days in (20, 16, 15, 14, 13, 0):
        check(town, NOW - days * DAY, result="failed")
    with CaptureQueriesContext(connection) as captured:
        done = prune.prune(NOW, r2=World().services.r2)
    assert done.partitions_dropped == done.removed["health_checks"] == 3
    assert HealthHour.objects.filter(failed=1).count() >= 5
    assert HealthCheck.objects.count() == 3
    assert not [q for q in captured if q["sql"].startswith(f'DELETE FROM "{TABLE}"')]
    assert partitions.partitions()[0].name == name_of(TODAY - 14 * DAY)


def test_who_holds_the_table_is_waited_for_briefly_and_the_next_run_drops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partitions, "TRIES", 1)
    check(make_town(), NOW - 20 * DAY)
    make_ahead(NOW)
    with a_long_reader():
        done = prune.prune(NOW, r2=World().services.r2)
        assert done.left == [
            f"{name_of(TODAY - 20 * DAY)} could not be dropped: "
            "Health checks are in use by a transaction that takes long."
        ]
        assert HealthCheck.objects.count() == 1
        with pytest.raises(Busy):
            make_ahead(NOW + DAY)  # attaching locks the default partition
        check(make_town(), NOW)
    assert prune.prune(NOW, r2=World().services.r2).removed["health_checks"] == 1
    assert make_ahead(NOW + DAY) == [name_of(TODAY + 8 * DAY)]


def test_two_runs_at_once_do_the_work_of_one() -> None:
    town = make_town()
    for days in range(12, 22):
        check(town, NOW - days * DAY)
    done: list[prune.Pruned] = []

    def run() -> None:
        try:
            done.append(prune.prune(NOW, r2=World().services.r2))
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 3
    assert sum(one.removed["health_checks"] for one in done) == 7
    assert sum(one.partitions_made for one in done) == 10
    assert [one.left for one in done] == [[], [], []]
    assert HealthCheck.objects.count() == 3
    assert HealthHour.objects.count() == 10
