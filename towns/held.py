"""Snapshots that the shrink guard holds back: staff accept them, or drop them (product.md 1.6)."""

from datetime import datetime

from django.db import transaction

from towns import alerts, history
from towns.actions import NotAllowed
from towns.backup_policy import made
from towns.history import Actor
from towns.models import Backup, Operation, Town
from towns.services import Services
from towns.services.r2 import Verification, live_prefix

ALERT = "backup_held"


def accept_held(town: Town, snapshot: str, services: Services, *, actor: Actor) -> Backup:
    """Have `latest.json` name the held snapshot, by a conditional write; backups go on from it.

    NotAllowed when it isn't held, isn't whole, or an operation is under way. Raises Conflict when
    the pointer is written by a newer machine or at the same moment, and the other errors of R2.
    """
    prefix = live_prefix(str(town.pk))
    backup = _held(town, snapshot)
    pointer = services.r2.read_pointer(prefix)
    if pointer is not None and pointer.timestamp > snapshot:
        raise NotAllowed(
            f"{town}: snapshot {pointer.timestamp} is good and newer than {snapshot}: there is "
            "nothing to accept any more."
        )
    seen = services.r2.verify(prefix, snapshot)
    if not seen.ok:
        raise NotAllowed(f"{town}: snapshot {snapshot} can't be accepted: {seen.problem}.")
    services.r2.write_pointer(prefix, snapshot, town.generation)
    return _settle(town, backup, services.clock.now(), actor, accepted=seen)


def drop_held(town: Town, snapshot: str, *, actor: Actor, now: datetime) -> Backup:
    """Decide against a held snapshot: nobody is told again, of it or of those that follow it until
    a good one has come, and it is rotated away in time.

    Nothing is deleted at once. NotAllowed when it isn't held, or an operation is under way.
    """
    return _settle(town, _held(town, snapshot), now, actor, accepted=None)


def _held(town: Town, snapshot: str) -> Backup:
    backup = Backup.objects.filter(
        town=town, kind=Backup.Kind.LIVE, snapshot=snapshot, held=True, gone_at=None
    ).first()
    if backup is None:
        raise NotAllowed(
            f"{town} has no held snapshot {snapshot}. `manage.py sweep_backups {town}` looks again."
        )
    if (operation := Operation.owning().filter(town=town).first()) is not None:
        raise NotAllowed(
            f"{town}: {operation.kind} is under way. Decide about its snapshot when it has ended."
        )
    return backup


@transaction.atomic
def _settle(
    town: Town, backup: Backup, now: datetime, actor: Actor, *, accepted: Verification | None
) -> Backup:
    locked = history.lock_town(town.pk)
    backup.refresh_from_db()  # somebody else may have decided meanwhile
    if accepted is None and not backup.held:
        raise NotAllowed(f"{town}: snapshot {backup.snapshot} was accepted meanwhile.")
    if accepted is None:
        backup.dropped_at = now
    else:
        backup.held, backup.verified_at, backup.dropped_at = False, now, None
        if locked.last_snapshot < backup.snapshot:
            locked.last_snapshot, locked.last_backup_at = backup.snapshot, made(accepted)
            locked.save(update_fields=["last_snapshot", "last_backup_at"])
    backup.save(update_fields=["held", "verified_at", "dropped_at"])
    word = "dropped" if accepted is None else "accepted"
    history.record(
        locked,
        f"snapshot_{word}",
        actor=actor,
        now=now,
        reason=f"Snapshot {backup.snapshot}, held back for having shrunk, was {word}.",
        data={"snapshot": backup.snapshot, "bytes": backup.bytes},
    )
    alerts.resolve_alerts(
        town=locked, causes=[ALERT], resolution=f"{word} by {actor.name}", now=now
    )
    return backup
