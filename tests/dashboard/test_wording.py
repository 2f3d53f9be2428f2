"""A town in its owner's words."""

from datetime import timedelta

import pytest

from tests.factories import NOW, make_operation, make_town
from towns.dashboard.cards import own_town
from towns.dashboard.wording import plan_of, progress_of, state_of, warning_of
from towns.policy import Hold
from towns.rules import retention
from towns.words import OperationKind, Status

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (None, ""),
        (11, ""),
        (10, "It goes to sleep in 10 min."),
        (5, "It goes to sleep in 5 min."),
        (2, "It goes to sleep in less than 2 minutes."),
        (0, "It goes to sleep in less than 2 minutes."),
        (-3, "It goes to sleep in less than 2 minutes."),
    ],
)
def test_a_warning_comes_10_and_2_minutes_before(minutes: int | None, text: str) -> None:
    assert warning_of(None if minutes is None else NOW + minutes * MINUTE, NOW) == text


@pytest.mark.django_db
def test_every_status_has_its_words() -> None:
    for status in Status:
        gone = NOW if status == Status.DESTROYED else None
        assert state_of(make_town(status=status, destroyed_at=gone))
    assert state_of(make_town(status="stopped", stop_reason="idle")) == "Asleep"
    assert state_of(make_town(status="stopped", stop_reason="person")) == "Stopped"


@pytest.mark.django_db
def test_plans() -> None:
    town = make_town()
    at = NOW + 7 * MINUTE
    assert plan_of(town, at, [Hold.INTERACTION], NOW) == (
        "It goes to sleep in 7 min (12:07 UTC) unless you use it."
    )
    assert plan_of(town, NOW, [], NOW).startswith("It goes to sleep within a few minutes")
    assert plan_of(town, None, [Hold.POLECATS, Hold.AUTO_STOP_OFF], NOW) == (
        "It stays awake: agents are at work, automatic sleep is off."
    )
    idle = make_town(status="stopped", stop_reason="idle")
    assert plan_of(idle, None, [], NOW) == "It wakes when you open it."
    person = make_town(status="stopped", stop_reason="person")
    assert plan_of(person, None, [], NOW) == "It stays stopped until you start it."


@pytest.mark.django_db
def test_progress() -> None:
    operation = make_operation(make_town(), OperationKind.START, step="await_healthy")
    operation.log = [{"step": "start_machine", "at": NOW.isoformat(), "note": ""}]
    found = progress_of(operation)
    assert found.number == 2
    assert found.told == f"step 2 of {found.total}: Await healthy"
    assert found.steps[:2] == [("done", "Start machine"), ("now", "Await healthy")]
    assert len(found.steps) == found.total


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (timedelta(days=29, hours=5), "kept for 29 days more"),
        (timedelta(days=1), "kept for 1 day more"),
        (timedelta(hours=19), "kept for 19 h more"),
        (timedelta(0), "it can't be restored any more"),
        (timedelta(days=-15), "it can't be restored any more"),
    ],
)
def test_for_how_long_it_can_be_restored(db: None, left: timedelta, told: str) -> None:
    town = make_town(status=Status.DESTROYED, destroyed_at=NOW + left - retention())
    card = own_town(town.owner, town.pk, NOW)
    assert card is not None
    assert told in card.kept
