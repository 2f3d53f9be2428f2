"""The preview of bulk work."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries

from tests.factories import NOW, make_operation, make_town
from towns.bulk_work import deciding
from towns.bulk_work import plan as plan_module
from towns.bulk_work.advance import advance_all
from towns.bulk_work.plan import KINDS, NothingSelected, Plan, counts_of, make_plan, read_plan
from towns.models import BulkRun, MaintenanceWindow, Operation, Town
from towns.words import OperationKind, Status


def plan_of(ann: User, kind: OperationKind = OperationKind.STOP) -> tuple[BulkRun, Plan]:
    run = make_plan(kind, Town.objects.all(), user=ann, selection="all", now=NOW)
    return run, read_plan(run)


def test_it_works(ann: User) -> None:
    make_town(health={"polecats_active": 2})
    make_town(status=Status.UNHEALTHY)
    stopped = [make_town(status=Status.STOPPED, stop_reason="person") for _ in range(5)]
    busy = make_operation(make_town(), OperationKind.BACKUP).town
    run, plan = plan_of(ann)
    assert (plan.towns, plan.left_out, plan.weigh) == (2, 6, {"polecats": 2})
    [stopping, backing_up] = plan.skips
    assert stopping.why.startswith("It is stopped already")
    assert stopping.count == 5
    assert set(stopping.examples) <= {str(town) for town in stopped}
    assert backing_up.why == "Its backup is under way."
    assert backing_up.examples == [str(busy)]
    assert counts_of(run) == {"waiting": 2, "skipped": 6}
    assert not Operation.objects.exclude(kind=OperationKind.BACKUP).exists(), "nothing is done yet"


def test_what_a_person_should_know_is_counted(ann: User) -> None:
    soon, later = NOW - timedelta(seconds=20), NOW + timedelta(hours=1)
    make_town(websocket_seen_at=soon, websocket_message_at=soon, keep_awake_until=later)
    make_town(hold_reason="being looked at", region="ams")
    MaintenanceWindow.objects.create(
        scope="region:ams", since=soon, until=later, reason="moving", actor="bob", created_at=soon
    )
    make_town(status=Status.STOPPED, stop_reason="person", hold_reason="not stopped, not counted")
    assert plan_of(ann)[1].weigh == {
        "connected": 1,
        "kept_awake": 1,
        "held": 1,
        "in_maintenance": 1,
    }


def test_many_towns_are_looked_at_a_part_at_a_time(
    ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "CHUNK", 3)
    for _ in range(7):
        make_town(health={"polecats_active": 1})
    run, plan = plan_of(ann)
    assert (run.state, plan.towns) == ("planning", 3)
    assert counts_of(run)["unseen"] == 4
    assert not begin_it(run, ann), "not before all are looked at"
    assert advance_all(NOW) == 1
    assert advance_all(NOW) == 0
    run.refresh_from_db()
    assert (run.state, read_plan(run).towns, run.weigh) == ("previewed", 7, {"polecats": 7})
    assert begin_it(run, ann)


def begin_it(run: BulkRun, user: User) -> bool:
    how: dict[str, Any] = {"reason": "x", "at_once": 9, "canaries": 0, "failures_allowed": 1}
    return deciding.begin(run.pk, user=user, now=NOW, **how)


def test_what_is_destroyed_or_stopped_meanwhile_is_in_the_result(ann: User) -> None:
    """The towns were fixed when they were chosen: one that matches later is not taken."""
    make_town(region="ams")
    chosen = Town.objects.filter(region="ams")
    run = make_plan(OperationKind.STOP, chosen, user=ann, selection="ams", now=NOW)
    make_town(region="ams")
    Town.objects.update(region="iad")
    assert run.items.count() == 1


def test_diskerase_an_empty_selection_does_nothing(ann: User) -> None:
    """Google's Diskerase: empty means nothing, everywhere."""
    make_town()
    with pytest.raises(NothingSelected):
        make_plan(OperationKind.STOP, Town.objects.none(), user=ann, selection="none", now=NOW)
    assert not BulkRun.objects.exists()


def test_a_destroy_is_not_done_in_bulk() -> None:
    assert OperationKind.DESTROY not in KINDS


def test_its_statements_do_not_grow_with_the_towns(
    ann: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(40):
        make_town()
    with django_assert_max_num_queries(14):
        run, _ = plan_of(ann)
    with django_assert_max_num_queries(3):
        read_plan(run)
