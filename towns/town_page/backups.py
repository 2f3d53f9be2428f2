"""A town's backups, and what a restore or a recovery would bring back of it."""

from dataclasses import dataclass
from datetime import datetime

from towns.models import Backup, Town
from towns.readable import ago, duration, size, utc
from towns.words import Status

ROWS = 10


@dataclass(frozen=True, slots=True)
class Backups:
    """The newest ones that we know of; `best` is what would be brought back, which may be older
    than all of them: the shrink guard may hold many back in a row."""

    newest: list[Backup]
    best: Backup | None


def read_backups(town: Town) -> Backups:
    """Read them in two statements."""
    kind = Backup.Kind.RETAINED if town.status == Status.DESTROYED else Backup.Kind.LIVE
    good = town.backups.filter(kind=kind, verified_at__isnull=False, held=False, gone_at=None)
    return Backups(list(town.backups.all()[:ROWS]), good.first())


def brought_back(town: Town, best: Backup | None, now: datetime) -> str:
    """What would come back, how old it is, and how much work would be lost. Pure."""
    until = town.restore_until
    if town.status == Status.DESTROYED and until is not None and until <= now:
        return f"Nothing: the time in which it could be restored ended on {utc(until)}."
    destroyed = town.status == Status.DESTROYED
    what = "restore" if destroyed else "recovery"
    if best is None:
        return f"No verified backup is known: a {what} would bring back nothing."
    told = f"A {what} would bring back snapshot {best.snapshot} ({size(best.bytes)})"
    told += f", made {ago(best.created_at, now)}. {_lost(town, best, now)}"
    return f"{told} It can be restored until {utc(until)}." if destroyed else told


def kept(backup: Backup, town: Town, now: datetime) -> str:
    """Where it is, and until when if that is known. Pure."""
    if backup.gone_at is not None:
        return f"gone from R2, {ago(backup.gone_at, now)}"
    if backup.dropped_at is not None:
        return "in R2, dropped by staff"
    if backup.held:
        return "in R2, held back: far smaller than the one before"
    if backup.kind == Backup.Kind.RETAINED and town.restore_until is not None:
        return f"retained until {utc(town.restore_until)}"
    return "in R2"


def _lost(town: Town, best: Backup, now: datetime) -> str:
    match town.status:
        case Status.DESTROYED:
            end, when = town.destroyed_at or now, "before it was destroyed"
        case Status.STOPPED:
            end, when = town.status_since, "before it stopped"
        case _:
            end, when = now, "since"
    seconds = (end - best.created_at).total_seconds()
    if seconds <= 0:
        return "Nothing would be lost: it has not run since."
    return f"What was written in the {duration(seconds)} {when} would be lost."
