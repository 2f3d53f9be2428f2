"""Every pair of operation and status, and of a request and what is under way, has its answer."""

from datetime import timedelta
from itertools import product

import pytest

from tests.factories import NOW, make_operation, make_town
from tests.properties.asking import open_operation, request
from tests.properties.expected import (
    AFTERWARDS,
    BEGINS_WANTING,
    DURING,
    FAILED,
    KINDS,
    RESTING,
    STATUSES,
    THEN,
    UNDER_WAY,
    WISHES,
    by_status,
    under_way,
)
from towns.actions import refusal
from towns.flows.finish import PASSING, following, status_after_failure
from towns.models import Operation, Town
from towns.preview import preview
from towns.words import ACTIVE, BESIDE, TRANSITIONS, DesiredState, OperationKind, Status

GONE = {"destroyed", "restoring"}
"""In these a town is soft-deleted."""
YESTERDAY = NOW - timedelta(days=1)
UNTIL = "2026-03-18"
"""30 days after it."""


def town_in(status: str, wanted: str = "running", *, deleted: bool = False) -> Town:
    gone = status in GONE or deleted
    return make_town(
        status=status,
        desired_state=wanted,
        destroyed_at=YESTERDAY if gone else None,
        last_snapshot="20260217T110000Z",
    )


def test_the_tables_have_all_the_words() -> None:
    assert set(STATUSES) == set(Status)
    assert {*KINDS, "provision"} == set(OperationKind)
    assert {kind for kind, _ in UNDER_WAY} - {"deleted"} == set(OperationKind)
    assert set(WISHES.values()) == set(DesiredState)
    assert set(product(RESTING, DesiredState)) == set(AFTERWARDS)


@pytest.mark.parametrize("kind", OperationKind)
def test_the_status_table(kind: OperationKind) -> None:
    row = TRANSITIONS[kind]
    assert row.during == DURING[kind]
    assert row.then == THEN[kind]
    assert row.failed == FAILED[kind]
    starts = set() if kind == "provision" else {s for s in STATUSES if by_status(kind, s, town="")}
    allowed = {s for s in starts if by_status(kind, s, town="").begins}
    assert row.may_start_from == allowed


def test_the_kinds_of_statuses() -> None:
    assert set(STATUSES) - set(RESTING) == PASSING
    assert {"running", "unhealthy"} == ACTIVE
    assert {"drill"} == BESIDE


@pytest.mark.django_db
@pytest.mark.parametrize(("status", "kind"), list(product(STATUSES, KINDS)))
def test_a_request_while_nothing_is_under_way(status: str, kind: str) -> None:
    town = town_in(status)
    expected = by_status(kind, status, town=str(town), until=UNTIL)
    told = preview(OperationKind(kind), town, None, NOW)
    assert (told.allowed, told.text == expected.refused) == (expected.begins, not expected.begins)
    assert refusal(OperationKind(kind), town, None) == expected.refused
    assert request(town, kind, NOW) == expected
    operation = open_operation(town)
    if not expected.begins:
        assert (town.status, town.desired_state, operation) == (status, "running", None)
        assert not town.events.exists(), "a refusal changes nothing"
        return
    assert operation is not None
    assert (operation.kind, operation.status_before) == (kind, status)
    assert town.status == (DURING[kind] or status)
    assert town.desired_state == (BEGINS_WANTING[kind] or "running")
    [event] = town.events.all()
    assert (event.kind, event.operation_id) == (kind, operation.pk)
    assert (event.from_status, event.to_status) == (
        (status, town.status) if DURING[kind] else ("", "")
    )


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("running", "wanted"), UNDER_WAY)
def test_a_request_while_an_operation_is_under_way(running: str, wanted: str, kind: str) -> None:
    deleted = running == "deleted"
    running = "destroy" if deleted else running
    for status in beside(running):
        town = town_in(status, wanted, deleted=deleted)
        operation = make_operation(town, OperationKind(running), due_at=NOW + timedelta(hours=1))
        expected = under_way(kind, running, wanted, town=str(town), deleted=deleted)
        if expected is None:
            expected = by_status(kind, status, town=str(town), until=UNTIL)
        told = preview(OperationKind(kind), town, operation, NOW)
        assert told.allowed == (expected.refused is None)
        assert request(town, kind, NOW) == expected
        operation.refresh_from_db()
        if expected.begins:
            assert operation.state == "superseded", "what is beside is called off"
            continue
        assert open_operation(town) == operation
        assert town.status == status, "only what is wanted changes"
        assert town.desired_state == (expected.wants or wanted)
        supersedes = kind == "destroy" and running not in ("destroy", "restore")
        calls_off = running == "destroy" and not deleted and expected.wants == "running"
        assert (operation.due_at == NOW) == (supersedes or calls_off), "nobody waits for those"


def beside(running: str) -> tuple[str, ...]:
    """The statuses that a town may have while such an operation is under way."""
    if running == "drill":
        return ("running", "unhealthy", "stopped", "error")
    return (DURING[running] or "running",)


@pytest.mark.django_db
@pytest.mark.parametrize("running", [kind for kind in OperationKind if kind != "drill"])
def test_an_idle_stop_waits_for_nothing_and_follows_nothing(running: str) -> None:
    town = town_in(beside(running)[0])
    make_operation(town, OperationKind(running))
    refused = f"{town} can't stop now: {running} is under way. Try again when it has ended."
    assert request(town, "stop", NOW, idle=True).refused == refused


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "before"), list(product(OperationKind, Status)))
def test_where_a_failed_operation_leaves_the_town(kind: OperationKind, before: Status) -> None:
    town = Town(status=before)
    operation = Operation(kind=kind, status_before=before)
    expected = FAILED[kind] or (before if before in RESTING or kind == "drill" else "error")
    assert status_after_failure(kind, operation, town) == expected


@pytest.mark.parametrize(("status", "wanted"), AFTERWARDS)
def test_what_follows(status: str, wanted: str) -> None:
    assert following(Status(status), DesiredState(wanted)) == AFTERWARDS[status, wanted]


@pytest.mark.django_db
@pytest.mark.parametrize(("days", "begins"), [(29, True), (30, False), (31, False)])
def test_a_restore_has_its_time(days: int, begins: bool) -> None:
    town = town_in("destroyed")
    Town.objects.filter(pk=town.pk).update(destroyed_at=NOW - timedelta(days=days))
    answer = request(town, "restore", NOW)
    assert answer.begins == begins
    assert begins or "expired" in str(answer.refused)


@pytest.mark.django_db
def test_a_drill_needs_a_backup() -> None:
    answer = request(make_town(), "drill", NOW)
    assert "has no backup yet" in str(answer.refused)
