"""The preview of bulk work."""

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries

from tests.factories import NOW, make_operation, make_town
from towns.bulk_work.plan import KINDS, NothingSelected, Plan, counts_of, make_plan, read_plan
from towns.models import BulkRun, Operation, Town
from towns.words import OperationKind, Status


def plan_of(ann: User, kind: OperationKind = OperationKind.STOP) -> tuple[BulkRun, Plan]:
    return make_plan(kind, Town.objects.all(), user=ann, selection="all", now=NOW)


def test_it_works(ann: User) -> None:
    make_town(health={"polecats_active": 2})
    make_town(status=Status.UNHEALTHY)
    stopped = [make_town(status=Status.STOPPED, stop_reason="person") for _ in range(5)]
    busy = make_operation(make_town(), OperationKind.BACKUP).town
    run, plan = plan_of(ann)
    assert (plan.towns, plan.polecats, plan.left_out) == (2, 2, 6)
    assert plan.skipped["Its backup is under way."].examples == [str(busy)]
    [(_, skips)] = [(why, one) for why, one in plan.skipped.items() if "stopped" in why]
    assert skips.count == 5
    assert len(skips.examples) == 3
    assert set(skips.examples) <= {str(town) for town in stopped}
    assert counts_of(run) == {"waiting": 2, "skipped": 6}
    assert not Operation.objects.exclude(kind=OperationKind.BACKUP).exists(), "nothing is done yet"


def test_a_preview_is_read_again_as_it_was_made(ann: User) -> None:
    make_town(health={"polecats_active": 1})
    make_town(status=Status.STOPPED, stop_reason="person")
    run, plan = plan_of(ann)
    assert read_plan(run) == plan


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
    with django_assert_max_num_queries(8):
        run, _ = plan_of(ann)
    with django_assert_max_num_queries(1):
        read_plan(run)
