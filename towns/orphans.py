"""What staff decide about orphans: the one door for the admin and the command."""

from datetime import datetime

from django.db import transaction

from towns import history
from towns.history import Actor
from towns.models import Orphan
from towns.orphan_policy import Cause
from towns.sweeps.orphans import UNCONFIRMED, close_old_volume_alert


class NotConfirmable(Exception):
    """It can't be confirmed, or taken back; the text says why."""


@transaction.atomic
def confirm(orphan_id: int, *, actor: Actor, now: datetime, discard: bool = False) -> Orphan:
    """Let a later sweep destroy an orphan, once it has verified again that nobody needs it.

    `discard` lets it go without a verified backup; the caller has checked that the person may.
    Raises NotConfirmable.
    """
    orphan = _lock(orphan_id)
    if orphan.state == Orphan.State.CONFIRMED and (orphan.discard or not discard):
        raise NotConfirmable(f"{orphan} is confirmed already, by {orphan.confirmed_by}.")
    if orphan.cause == Cause.FOREIGN:
        raise NotConfirmable(f"{orphan} isn't ours: it is never touched. Use Fly's own tools.")
    if orphan.state not in (Orphan.State.REPORTED, Orphan.State.CONFIRMED):
        raise NotConfirmable(f"{orphan} is {orphan.get_state_display()}.")
    orphan.state, orphan.discard = Orphan.State.CONFIRMED, discard
    orphan.confirmed_at, orphan.confirmed_by = now, actor.name
    orphan.withheld = "The next sweep looks at it once more, and destroys it."
    orphan.save()
    close_old_volume_alert(orphan, f"{actor.name} confirmed that {orphan} may go", now)
    _record(orphan, "orphan_confirmed", actor, now, f"{orphan} may be destroyed. {orphan.reason}")
    return orphan


@transaction.atomic
def take_back(orphan_id: int, *, actor: Actor, now: datetime) -> Orphan:
    """Have a confirmed orphan kept after all. Raises NotConfirmable."""
    orphan = _lock(orphan_id)
    if orphan.state != Orphan.State.CONFIRMED:
        raise NotConfirmable(f"{orphan} is {orphan.get_state_display().lower()}, not confirmed.")
    if orphan.asked_at is not None:
        raise NotConfirmable(f"{orphan} is being destroyed already.")
    orphan.state, orphan.discard = Orphan.State.REPORTED, False
    orphan.confirmed_at, orphan.confirmed_by, orphan.withheld = None, "", UNCONFIRMED
    orphan.save()
    _record(orphan, "orphan_kept", actor, now, f"{orphan} is kept after all.")
    return orphan


def _lock(orphan_id: int) -> Orphan:
    found = Orphan.objects.select_for_update(no_key=True, of=("self",)).filter(pk=orphan_id).first()
    if found is None:
        raise NotConfirmable("There is no such orphan.")
    return found


def _record(orphan: Orphan, kind: str, actor: Actor, now: datetime, reason: str) -> None:
    if orphan.town is not None:
        data = {"fly_id": orphan.fly_id, "cause": orphan.cause, "discard": orphan.discard}
        history.record(orphan.town, kind, actor=actor, now=now, reason=reason, data=data)
