"""Signs that an owner uses a town: noted with few writes, and what wakes a sleeping one.

Looks by staff, peeks and lists come here not at all.
"""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest

from towns import actions, history
from towns.actions import NotAllowed
from towns.history import Actor
from towns.models import Operation, Town
from towns.rules import idle_rules
from towns.words import DesiredState, InteractionKind, Status, StopReason

AWAKE_OR_COMING = frozenset(Status) - {
    Status.STOPPED,
    Status.STOPPING,
    Status.DESTROYING,
    Status.DESTROYED,
    Status.ERROR,
}
"""Where a WebSocket can be open."""
_MESSAGE = ("last_interaction_at", "websocket_message_at")
"""What a message moves on, and has to be fresh for the next one to be no news."""


def touch(town: Town, *, kind: InteractionKind, now: datetime) -> bool:
    """Note an interaction; returns whether it was written.

    At most one write per town in `GASTOWN_INTERACTION_COALESCE_SECONDS`, however many callers
    there are: a fresh row costs no statement, a stale one a single conditional UPDATE, and whoever
    comes too late with it a look at what was stored.
    """
    return _note(
        town, ("last_interaction_at",), now, last_interaction_at=now, last_interaction_kind=kind
    )


def visit(town: Town, *, actor: Actor, kind: InteractionKind, now: datetime) -> Operation | None:
    """Note an interaction by or for the owner, and wake the town if it sleeps for being idle.

    Returns the operation that wakes it, also when somebody else was faster; None if none is
    called for. A town that a person stopped stays so, unless `GASTOWN_AUTO_RESUME` is `always`.
    """
    if town.destroyed_at is not None:
        return None
    touch(town, kind=kind, now=now)
    if not wakes(town):
        return None
    with transaction.atomic():
        # The row was read before this transaction: only under its lock is it certain that no
        # person has stopped the town, and no other visit has started it, meanwhile.
        if wakes(history.lock_town(town.pk)):
            return _start(town, actor, kind, now)
        return _open_operation(town)


def wakes(town: Town) -> bool:
    """Whether a visit starts the town: it sleeps for being idle, or is about to."""
    idle = town.stop_reason == StopReason.IDLE
    if town.status == Status.STOPPED:
        return idle or settings.GASTOWN_AUTO_RESUME == "always"
    return town.status == Status.STOPPING and idle and town.desired_state == DesiredState.STOPPED


def websocket_opened(town: Town, now: datetime, *, again: bool = False) -> bool:
    """Note that a WebSocket was opened; NotAllowed when the town sleeps, since none wakes it.

    It is an interaction when a person opened it, but not when a page connected `again` by itself.
    A page that doesn't say so is told by its being back before the last one counts as closed:
    forgotten tabs that keep reconnecting would hold a town awake for ever.
    """
    refuse_if_asleep(town)
    seen = town.websocket_seen_at
    if again or (seen is not None and now - seen < idle_rules().connection):
        return websocket_seen(town, now)
    return websocket_message(town, now)


def refuse_if_asleep(town: Town) -> None:
    """Raise NotAllowed unless a WebSocket may be open to the town."""
    if Status(town.status) not in AWAKE_OR_COMING:
        raise NotAllowed(
            f"{town} is {town.status}: a WebSocket does not wake it. Visit it, or start it."
        )


def websocket_message(town: Town, now: datetime) -> bool:
    """Note that somebody sent something through a WebSocket: an interaction. Its own clock and that
    of interactions are one write."""
    return _note(
        town,
        _MESSAGE,
        now,
        last_interaction_at=now,
        last_interaction_kind=InteractionKind.WEBSOCKET,
        websocket_message_at=now,
        websocket_seen_at=now,
    )


def message_due_at(town: Town) -> datetime | None:
    """From when on a message is written, as far as the row in hand tells: one before that moment
    changes nothing. None: at once."""
    clocks: list[datetime | None] = [getattr(town, clock) for clock in _MESSAGE]
    known = [clock for clock in clocks if clock is not None]
    return min(known) + idle_rules().coalesce if len(known) == len(clocks) else None


def websocket_seen(town: Town, now: datetime) -> bool:
    """Note that a WebSocket is open. Pings and reconnects are no interaction, and wake nothing."""
    return _note(town, ("websocket_seen_at",), now, websocket_seen_at=now)


def _note(town: Town, clocks: Sequence[str], now: datetime, **values: object) -> bool:
    """Write the values unless all `clocks` are fresh; the row in hand gets what is stored."""
    stale = now - idle_rules().coalesce
    known: list[datetime | None] = [getattr(town, clock) for clock in clocks]
    if all(clock is not None and clock > stale for clock in known):
        return False
    due = Q()
    for clock in clocks:
        due |= Q(**{f"{clock}__isnull": True}) | Q(**{f"{clock}__lte": stale})
    row = Town.objects.filter(pk=town.pk)
    written = row.filter(due).update(**_never_back(clocks, values)) == 1
    # Somebody was faster: who kept the row as it was would ask again at each of the next calls.
    stored = values if written else row.values(*values).first() or {}
    for name, value in stored.items():
        setattr(town, name, value)
    return written


def _never_back(clocks: Sequence[str], values: dict[str, object]) -> dict[str, object]:
    """The values to store: of several clocks one may be due while another is ahead of this call."""
    if len(clocks) == 1:
        return values
    return {
        name: Greatest(Coalesce(F(name), value), value) if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _start(town: Town, actor: Actor, kind: InteractionKind, now: datetime) -> Operation | None:
    try:
        requested = actions.request_start(
            town.pk, actor=actor, now=now, reason="its owner is back", kind=kind
        )
    except NotAllowed:  # somebody was faster
        return _open_operation(town)
    return requested.operation


def _open_operation(town: Town) -> Operation | None:
    return Operation.owning().filter(town=town).first()
