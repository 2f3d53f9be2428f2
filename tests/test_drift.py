"""How Fly and our rows differ, by example and by property."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW
from towns.drift import (
    SETTLING,
    DriftKind,
    Lists,
    Thing,
    ThingKind,
    TownRow,
    compare,
    doubt,
    may_stop_twin,
)
from towns.words import DesiredState, OperationKind, Status

ID = UUID(int=1)
ROW = TownRow(
    id=ID,
    label="ada/alpha",
    status=Status.RUNNING,
    desired=DesiredState.RUNNING,
    since=NOW - timedelta(hours=1),
    region="ams",
    image="town:1",
    machine_id="m1",
    volume_id="v1",
    generation=2,
    app="towns",
)
MACHINE = Thing(
    kind=ThingKind.MACHINE,
    id="m1",
    name="gastown-1",
    state="started",
    region="ams",
    town=ID,
    generation=2,
    image="town:1",
    mounts=("v1",),
)
VOLUME = Thing(ThingKind.VOLUME, "v1", "t1_2", "created", "ams", town=ID, generation=2)
ASLEEP = replace(ROW, status=Status.STOPPED, desired=DesiredState.STOPPED)


def lists(*things: Thing) -> Lists:
    machines = [one for one in things if one.kind == ThingKind.MACHINE]
    return Lists(
        machines={one.id: one for one in machines},
        volumes={one.id: one for one in things if one.kind == ThingKind.VOLUME},
        machines_of={ID: machines},
        at=NOW,
        apps=frozenset({"towns"}),
    )


def kinds(row: TownRow, *things: Thing) -> list[DriftKind]:
    return [one.kind for one in compare(row, lists(*things))]


def test_it_works() -> None:
    assert kinds(ROW, MACHINE, VOLUME) == []
    assert kinds(ASLEEP, replace(MACHINE, state="stopped"), VOLUME) == []


@pytest.mark.parametrize("state", ["created", "stopped", "suspended", "failed"])
def test_one_that_should_run_and_rests(state: str) -> None:
    assert kinds(ROW, replace(MACHINE, state=state), VOLUME) == [DriftKind.STOPPED]


@pytest.mark.parametrize("state", ["starting", "stopping", "restarting", "replacing", "updating"])
def test_a_passing_state_is_waited_for(state: str) -> None:
    machine = replace(MACHINE, state=state)
    assert kinds(ROW, machine, VOLUME) == kinds(ASLEEP, machine, VOLUME) == []


def test_one_that_should_sleep_and_is_started() -> None:
    assert kinds(ASLEEP, MACHINE, VOLUME) == [DriftKind.STARTED]


def test_what_is_not_listed() -> None:
    assert kinds(ROW, VOLUME) == [DriftKind.GONE]
    assert kinds(ASLEEP, VOLUME) == [DriftKind.GONE]
    assert kinds(ROW, MACHINE) == [DriftKind.VOLUME_GONE]


def test_another_machine_of_the_town() -> None:
    twin = replace(MACHINE, id="m2", generation=1)
    assert kinds(ROW, MACHINE, twin, VOLUME) == [DriftKind.TWIN]
    assert kinds(replace(ROW, status=Status.ERROR), MACHINE, twin, VOLUME) == [DriftKind.TWIN]
    assert kinds(ROW, MACHINE, replace(twin, going=True), VOLUME) == []
    assert kinds(replace(ASLEEP, machine_id=""), twin, VOLUME) == [DriftKind.UNRECORDED]


def test_what_does_not_fit() -> None:
    assert kinds(ROW, replace(MACHINE, region="iad"), VOLUME) == [DriftKind.WRONG_REGION]
    assert kinds(ROW, MACHINE, replace(VOLUME, region="iad")) == [DriftKind.WRONG_REGION]
    assert kinds(ROW, replace(MACHINE, mounts=("v2",)), VOLUME) == [DriftKind.WRONG_VOLUME]
    assert kinds(ROW, replace(MACHINE, image="town:0"), VOLUME) == [DriftKind.WRONG_IMAGE]
    assert kinds(ROW, replace(MACHINE, image="", mounts=()), VOLUME) == [], "not told by Fly"


@given(
    status=st.sampled_from(Status),
    desired=st.sampled_from(DesiredState),
    state=st.sampled_from(["started", "stopped", "failed", "starting", ""]),
    busy=st.sampled_from(["", *OperationKind]),
    age=st.integers(-60, 3600),
)
def test_an_operation_under_way_a_passing_status_and_a_fresh_one_are_left_alone(
    status: Status, desired: DesiredState, state: str, busy: str, age: int
) -> None:
    since = NOW - timedelta(seconds=age)
    row = replace(ROW, status=status, desired=desired, busy=busy, since=since)
    things = [replace(MACHINE, state=state)] if state else []
    lasting = {Status.RUNNING, Status.UNHEALTHY, Status.STOPPED, Status.ERROR}
    if busy or status not in lasting or age < SETTLING.total_seconds():
        assert kinds(row, *things) == []


@given(expected=st.integers(0, 1000), missing=st.integers(0, 1000), listed=st.integers(0, 1000))
def test_no_list_that_lacks_much_is_believed(expected: int, missing: int, listed: int) -> None:
    missing = min(missing, expected)
    why = doubt("machine", expected=expected, missing=missing, listed=listed, limit=5, share=0.2)
    if expected and not listed:
        assert "no machine at all" in why
    elif missing > 5 or (missing > 1 and missing >= 0.2 * expected):
        assert f"{missing} of our {expected} machines" in why
    else:
        assert why == ""


def test_only_an_older_twin_that_runs_beside_its_town_is_stopped() -> None:
    twin = replace(MACHINE, id="m2", generation=1)
    assert may_stop_twin(ROW, twin, MACHINE) == ""
    assert "older generation" in may_stop_twin(ROW, replace(twin, generation=2), MACHINE)
    assert "older generation" in may_stop_twin(ROW, replace(twin, generation=None), MACHINE)
    assert may_stop_twin(ROW, replace(twin, state="stopped"), MACHINE) == "it is stopped"
    assert "own machine" in may_stop_twin(ROW, twin, replace(MACHINE, state="stopped"))
