"""Slots: a sweep belongs to its scheduled time, so that a task delivered twice counts once."""

import logging
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q

from towns import alerts
from towns.logs import about
from towns.models import Sweep

GIVEN_UP_AFTER = 3
"""Periods after which an unfinished sweep is no reason any more not to begin another."""
log = logging.getLogger(__name__)


def slot_of(moment: datetime, period_seconds: int) -> datetime:
    """The slot that a moment lies in: the moment rounded down to the period."""
    seconds = int(moment.timestamp())
    return datetime.fromtimestamp(seconds - seconds % period_seconds, UTC)


def about_sweep(kind: str, slot: datetime | None, **ids: object) -> AbstractContextManager[None]:
    """Whatever is logged inside is about this sweep; one without a slot is of named towns, or a
    dry run."""
    return about(sweep=kind, **({"slot": slot.isoformat()} if slot else {}), **ids)


def open_sweep(kind: str, slot: datetime, *, period_seconds: int, now: datetime) -> Sweep | None:
    """Make the sweep of a slot, or return the unfinished one of the same slot.

    None when the slot was swept already, or while an earlier sweep is still under way: a sweep
    never runs over itself, and says that it is late.
    """
    patience = timedelta(seconds=GIVEN_UP_AFTER * period_seconds)
    unfinished = Sweep.objects.filter(kind=kind, finished_at=None).exclude(slot=slot)
    late = unfinished.filter(started_at__gt=now - patience).first()
    if late is not None:
        log.warning("the sweep of %s is still under way: this slot is left out", late.slot)
        alerts.open_alert(
            cause="sweep_late",
            subject=f"sweep:{kind}",
            severity="warning",
            message=f"The {kind} sweep of {late.slot:%H:%M:%S} is still under way, so that of "
            f"{slot:%H:%M:%S} was left out. More workers, or a longer period, would help.",
            now=now,
        )
        return None
    unfinished.filter(Q(started_at__lte=now - patience)).update(
        finished_at=now, summary={"given_up": True}
    )
    try:
        with transaction.atomic():
            return Sweep.objects.create(kind=kind, slot=slot, started_at=now)
    except IntegrityError:
        return Sweep.objects.filter(kind=kind, slot=slot, finished_at=None).first()


def finish_sweep(sweep: Sweep, now: datetime, **fields: object) -> bool:
    """Close a sweep; False when somebody else was faster. The ping (`dead_man`) comes after it."""
    mine = Sweep.objects.filter(pk=sweep.pk, finished_at=None)
    if mine.update(finished_at=now, **fields) != 1:
        return False
    alerts.resolve_alerts(
        subject=f"sweep:{sweep.kind}",
        causes=["sweep_late"],
        resolution="a sweep was finished",
        now=now,
    )
    seconds = (now - sweep.started_at).total_seconds()
    log.info("the %s sweep is done after %.1f s: %s", sweep.kind, seconds, fields)
    return True
