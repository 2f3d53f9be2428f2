"""What is told before a request, held against what the request then does."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from tests.factories import NOW, make_operation, make_town, make_user
from towns import actions
from towns.actions import NotAllowed, Requested
from towns.admin.town_actions import ACTIONS, previews, request
from towns.history import Actor
from towns.models import LifecycleEvent, Operation, Town
from towns.preview import Preview, preview
from towns.words import DesiredState, OperationKind, OperationState, Status, StopReason

pytestmark = pytest.mark.django_db
ANN = Actor("ann")
KINDS = [action.kind for action in ACTIONS.values() if action.kind is not None]
UNDER_WAY = [None, *OperationKind]
GONE = {Status.DESTROYED, Status.RESTORING}
"""In these a town has been destroyed; while it is being destroyed it may have been."""


def test_it_works() -> None:
    town = make_town()
    assert preview(OperationKind.STOP, town, None, NOW) == Preview(
        True, "It is backed up and stops, and stays stopped until somebody asks."
    )
    assert preview(OperationKind.START, town, None, NOW) == Preview(
        False, f"{town} is running already."
    )


def asked(kind: OperationKind, town: Town, *, discard: bool = False) -> Requested | None:
    """What comes of the request; None where it is refused."""
    [action] = [action for action in ACTIONS.values() if action.kind == kind]
    try:
        return request(action, town.pk, actor=ANN, now=NOW, reason="", discard=discard)
    except NotAllowed:
        return None


def kept(told: Preview, requested: Requested | None, town: Town) -> bool:
    """Whether the request has done what was told."""
    if requested is None or not told.allowed:
        return requested is None and not told.allowed
    told_events = LifecycleEvent.objects.filter(town=town).exists()
    town.refresh_from_db()
    if told.text.startswith("Nothing new"):
        return not requested.created and not told_events
    if told.text.startswith(("It follows", "It runs once")):
        return not requested.created
    if told.text.startswith("Its destroy is called off"):
        return not requested.created and town.desired_state == DesiredState.RUNNING
    if told.text.startswith(("It is destroyed instead", "Its destroy")):
        return not requested.created and town.desired_state == DesiredState.DESTROYED
    if told.text.startswith(("It is stopping already", "It is asleep")):
        return not requested.created and town.stop_reason == StopReason.PERSON
    return requested.created and requested.operation.is_open


@pytest.mark.parametrize("under_way", UNDER_WAY, ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_it_tells_what_the_request_does(
    kind: OperationKind, under_way: OperationKind | None
) -> None:
    owner = make_user()
    wanted = [DesiredState.RUNNING] if under_way is None else list(DesiredState)
    for status, desired, gone in product(Status, wanted, (False, True)):
        if (gone and status not in {*GONE, Status.DESTROYING}) or (not gone and status in GONE):
            continue
        town = make_town(
            owner=owner,
            status=status,
            desired_state=desired,
            destroyed_at=NOW - timedelta(days=1) if gone else None,
            last_snapshot="20260217T110000Z",
        )
        operation = None if under_way is None else make_operation(town, under_way)
        told = preview(kind, town, operation, NOW)
        requested = asked(kind, town)
        where = f"{kind} of a town that is {status} (gone: {gone}), wanted {desired}"
        assert kept(told, requested, town), f"{where}: told {told}, but {requested}"


@pytest.mark.parametrize("discard", [False, True])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("under_way", UNDER_WAY, ids=str)
def test_discarding(under_way: OperationKind | None, given: bool, discard: bool) -> None:
    town = make_town(desired_state=DesiredState.DESTROYED)
    params = {"discard": True} if given else {}
    operation = None if under_way is None else make_operation(town, under_way, params=params)
    told = preview(OperationKind.DESTROY, town, operation, NOW, discard=discard)
    requested = asked(OperationKind.DESTROY, town, discard=discard)
    assert kept(told, requested, town), f"told {told}, but {requested}"
    if under_way is None:
        assert ("without a last backup" in told.text) == discard


@pytest.mark.parametrize("reason", list(StopReason), ids=repr)
def test_stopping_who_sleeps(reason: StopReason) -> None:
    town = make_town(status=Status.STOPPED, stop_reason=reason)
    make_operation(town, OperationKind.STOP, state=OperationState.SUCCEEDED)
    told = preview(OperationKind.STOP, town, None, NOW)
    assert kept(told, asked(OperationKind.STOP, town), town)
    assert told.allowed == (reason == StopReason.IDLE)


@pytest.mark.parametrize("days", [29, 30, 31])
def test_restoring_has_its_time(days: int) -> None:
    town = make_town(status=Status.DESTROYED, destroyed_at=NOW - timedelta(days=days))
    told = preview(OperationKind.RESTORE, town, None, NOW)
    assert told.allowed == (days < 30)
    assert kept(told, asked(OperationKind.RESTORE, town), town)


@pytest.mark.parametrize("namesake", [None, "living", "destroyed", "of somebody else"], ids=str)
@pytest.mark.parametrize("under_way", [None, OperationKind.DESTROY], ids=str)
def test_restoring_needs_its_name(under_way: OperationKind | None, namesake: str | None) -> None:
    status = Status.DESTROYED if under_way is None else Status.DESTROYING
    town = make_town(name="mill", status=status, destroyed_at=NOW, desired_state="destroyed")
    fields: dict[str, Any] = {"name": "mill"}
    if namesake != "of somebody else":
        fields["owner"] = town.owner
    if namesake == "destroyed":
        fields |= {"status": Status.DESTROYED, "destroyed_at": NOW}
    if namesake is not None:
        make_town(**fields)
    if under_way is not None:
        make_operation(town, under_way)
    [(_, told)] = previews(ACTIONS["restore"], [town], NOW)
    assert told.allowed == (namesake != "living")
    assert kept(told, asked(OperationKind.RESTORE, town), town)


def test_a_refusal_is_told_in_the_words_of_the_request() -> None:
    """Where nothing is under way, both come from one place."""
    for kind, status in product(KINDS, Status):
        gone = {"destroyed_at": NOW} if status in GONE else {}
        town = make_town(status=status, **gone)
        told = preview(kind, town, None, NOW)
        if not told.allowed:
            assert told.text == actions.refusal(kind, town, None)


def test_it_changes_nothing() -> None:
    town = make_town()
    for kind in KINDS:
        preview(kind, town, None, NOW)
    assert not Operation.objects.exists()
    assert not LifecycleEvent.objects.exists()
