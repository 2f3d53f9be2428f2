"""What a request was answered, by its answer and by what it did to the rows."""

from datetime import datetime
from typing import Any

from tests.properties.expected import Answer
from towns import actions
from towns.history import Actor
from towns.models import Operation, Town

ANN = Actor("ann")
RULE = Actor.automation("rule:test")
_REQUESTS: dict[str, Any] = {
    "start": actions.request_start,
    "stop": actions.request_stop,
    "restart": actions.request_restart,
    "recover": actions.request_recover,
    "destroy": actions.request_destroy,
    "restore": actions.request_restore,
    "backup": actions.request_backup,
    "drill": actions.request_drill,
}


def request(town: Town, kind: str, now: datetime, *, actor: Actor = ANN, **more: Any) -> Answer:
    """Ask through the one door, and read from the rows what came of it."""
    wishes = town.events.filter(kind="wanted").count()
    try:
        requested = _REQUESTS[kind](town.pk, actor=actor, now=now, **more)
    except actions.NotAllowed as error:
        return Answer(refused=error.reason)
    town.refresh_from_db()
    if requested.created:
        assert requested.operation.kind == kind
        return Answer(begins=True)
    assert requested.note, "whoever asks is told what follows"
    if town.events.filter(kind="wanted").count() == wishes:
        return Answer(same=True)
    return Answer(wants=town.desired_state)


def open_operation(town: Town) -> Operation | None:
    """The one operation that is under way, or none."""
    found = list(town.operations.filter(state="open"))
    assert len(found) <= 1, f"invariant 1: {len(found)} operations are under way"
    return found[0] if found else None
