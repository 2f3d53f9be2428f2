"""What is an orphan, and when one may be destroyed."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW
from tests.test_drift import MACHINE, ROW, VOLUME
from towns.drift import Thing, TownRow
from towns.orphan_policy import Backing, Cause, judge_drill, judge_orphan, why_kept
from towns.words import Status

DRILL = UUID(int=7)
GRACE = timedelta(minutes=15)
OLD = NOW - timedelta(hours=1)
OLD_VOLUME = replace(VOLUME, id="v0", generation=1, made_at=OLD)
DESTROYED = replace(ROW, status=Status.DESTROYED, machine_id="", volume_id="")


def cause(thing: Thing, row: TownRow | None) -> Cause | None:
    return judge_orphan(thing, row, listed_at=NOW, grace=GRACE).cause


def reason(thing: Thing, row: TownRow | None) -> str:
    return judge_orphan(thing, row, listed_at=NOW, grace=GRACE).reason


def test_it_works() -> None:
    assert cause(OLD_VOLUME, ROW) == Cause.OLD_VOLUME
    assert cause(OLD_VOLUME, DESTROYED) == Cause.DESTROYED_TOWN
    assert cause(OLD_VOLUME, None) == Cause.NO_TOWN
    assert cause(replace(OLD_VOLUME, town=None), None) == Cause.FOREIGN
    assert cause(replace(MACHINE, id="m0", generation=1, made_at=OLD), ROW) == Cause.OLD_MACHINE


@pytest.mark.parametrize("generation", [2, 3, None])
def test_a_second_volume_of_the_present_generation_is_told_as_one(generation: int | None) -> None:
    thing = replace(OLD_VOLUME, generation=generation)
    assert reason(thing, ROW).startswith(f"A second volume of generation {generation};")


def test_kilo_1993_what_an_operation_may_hold_is_none() -> None:
    for row in (ROW, DESTROYED):
        busy = replace(row, busy="recover")
        assert reason(OLD_VOLUME, busy) == "the recover of ada/alpha may be using it"
        assert cause(OLD_VOLUME, busy) is None


def test_the_young_are_none() -> None:
    for made, expected in ((NOW - GRACE + timedelta(seconds=1), None), (NOW - GRACE, "yes")):
        thing = replace(OLD_VOLUME, made_at=made)
        assert (cause(thing, ROW) is not None) == bool(expected)


def test_what_the_next_operation_adopts_is_none() -> None:
    assert cause(OLD_VOLUME, replace(ROW, volume_id="")) is None
    assert cause(replace(MACHINE, id="m0", made_at=OLD), replace(ROW, machine_id="")) is None


def test_a_town_destroyed_only_just_now_has_none() -> None:
    fresh = replace(DESTROYED, since=NOW - GRACE + timedelta(seconds=1))
    assert cause(OLD_VOLUME, fresh) is None


def test_a_drill_holds_what_it_made_while_it_is_under_way() -> None:
    thing = replace(OLD_VOLUME, drill=DRILL)
    assert judge_drill(thing, {DRILL}, listed_at=NOW, grace=GRACE).cause is None
    assert judge_drill(thing, {UUID(int=8)}, listed_at=NOW, grace=GRACE).cause == Cause.DRILL
    for made in (NOW, None):
        young = replace(thing, made_at=made)
        assert judge_drill(young, set(), listed_at=NOW, grace=GRACE).cause is None


def test_what_may_go() -> None:
    assert why_kept(OLD_VOLUME, OLD_VOLUME, Backing(None)) == ""
    assert why_kept(OLD_VOLUME, OLD_VOLUME, Backing(OLD, NOW)) == ""


@pytest.mark.parametrize(
    "fields", [{"name": "x"}, {"town": UUID(int=2)}, {"generation": 2}, {"drill": DRILL}]
)
def test_what_is_described_differently_stays(fields: dict[str, object]) -> None:
    now = replace(OLD_VOLUME, **fields)  # type: ignore[arg-type]  # one field by its name
    assert "differently" in why_kept(OLD_VOLUME, now, Backing(None))


def test_what_is_in_use_stays() -> None:
    attached = replace(OLD_VOLUME, attached_to="m1")
    assert "attached to machine m1" in why_kept(OLD_VOLUME, attached, Backing(None))
    assert "stop it first" in why_kept(MACHINE, MACHINE, Backing(None))
    drill = replace(MACHINE, drill=DRILL)
    assert why_kept(drill, drill, Backing(None)) == ""


@given(st.none() | st.integers(-100, 0))
def test_invariant_3_a_backup_has_to_be_newer_than_what_asks_for_it(age: int | None) -> None:
    newest = None if age is None else OLD + timedelta(seconds=age)
    assert why_kept(OLD_VOLUME, OLD_VOLUME, Backing(OLD, newest)) != ""
