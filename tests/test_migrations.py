"""Every migration goes up and down on a database with rows in it, and loses none.

Generic: a migration that is added later is covered without a word here.
"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import DatabaseError, transaction

from tests.migrating import FIRST, NOW, fill, fill_the_rest, go_to, names, start_afresh, state
from towns.models import HealthCheck, Operation, Sweep, Town
from towns.words import OperationKind, OperationState, Status

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]
Row = dict[str, Any]
Snapshot = dict[str, dict[Any, Row]]


@pytest.fixture(autouse=True)
def newest() -> Iterator[None]:
    """Whatever happens, other tests find the newest tables."""
    yield
    start_afresh()


def snapshot(apps: Apps) -> Snapshot:
    """Every row of every model of the app, by model and key."""
    return {
        model._meta.model_name or "": {
            row["pk"]: row for row in model._default_manager.values("pk", *fields(model))
        }
        for model in apps.get_app_config("towns").get_models()
    }


def fields(model: Any) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def assert_intact(before: Snapshot, after: Snapshot, what: str) -> None:
    """What both know is the same in both; a migration may add models and fields, or remove them."""
    for model in before.keys() & after.keys():
        assert before[model].keys() == after[model].keys(), f"{what}: rows of {model}"
        for key, row in before[model].items():
            known = row.keys() & after[model][key].keys()
            old, new = ({name: one[name] for name in known} for one in (row, after[model][key]))
            assert old == new, f"{what}: {model} {key}"


def test_each_goes_up_and_down_and_up_again() -> None:
    every = names()
    go_to(FIRST)
    fill(state(FIRST))
    assert all(snapshot(state(FIRST)).values()), "there is a row of every model"
    for older, newer in pairwise(every):
        fill_the_rest(state(older))
        before = snapshot(state(older))
        go_to(newer)
        assert_intact(before, snapshot(state(newer)), f"up to {newer}")
        fill_the_rest(state(newer))
        assert all(snapshot(state(newer)).values()), "there is a row of every model"
        go_to(older)
        assert_intact(before, snapshot(state(older)), f"down to {older}")
        go_to(newer)
        assert_intact(before, snapshot(state(newer)), f"up to {newer} again")


def test_all_go_down_and_up_at_once_with_what_the_newest_wrote() -> None:
    every = names()
    go_to(FIRST)
    fill(state(FIRST))
    go_to(every[-1])
    fill_the_rest(state(every[-1]))
    town = Town.objects.get()
    Sweep.objects.create(kind=Sweep.Kind.RECONCILE, slot=NOW, started_at=NOW)
    Operation.objects.create(
        town=town, kind=OperationKind.DRILL, step="make_volume", status_before="running",
        actor="ann", created_at=NOW, due_at=NOW, state=OperationState.SUCCEEDED,
    )  # fmt: skip
    for days in (-30, -3, 0, 1, 2):  # partitions of their own, and the default one
        moment = NOW + timedelta(days=days, seconds=1)
        HealthCheck.objects.create(town=town, slot=moment, checked_at=moment, result="ok")
    before = snapshot(state(every[-1]))
    go_to(every[1])
    assert_intact(before, snapshot(state(every[1])), "down")
    checks = state(every[1]).get_model("towns", "HealthCheck")._default_manager
    checks.create(town_id=town.pk, checked_at=NOW, result="ok")  # its key is a new one
    before = snapshot(state(every[1]))
    go_to(every[-1])
    assert_intact(before, snapshot(state(every[-1])), "up")
    check = HealthCheck.objects.create(town=town, checked_at=NOW, result="ok")
    assert check.pk > max(before["healthcheck"])


def test_the_trigger_is_there_after_each() -> None:
    every = names()
    go_to(FIRST)
    fill(state(FIRST))
    for name in (*every, *reversed(every)):
        go_to(name)
        with pytest.raises(DatabaseError), transaction.atomic():
            Town.objects.update(status=Status.STOPPED)
