"""Chunks of a sweep under leases: each in one runner's hand, and those of a lost one in another's.

The name of a lease's owner is its fencing token: whoever lost a chunk meanwhile stores nothing.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from towns.models import Sweep, SweepChunk, Town
from towns.words import ACTIVE

READ = 10_000
"""Ids read at a time: a fleet has more than one wants in memory."""


def split(sweep: Sweep) -> int:
    """Split the fleet into chunks of towns by key ranges; returns how many towns there are."""
    due = Town.objects.filter(status__in=ACTIVE).order_by("pk").values_list("pk", flat=True)
    towns = 0
    chunks: list[SweepChunk] = []
    for first, last, size in _ranges(due.iterator(READ), settings.GASTOWN_SWEEP_CHUNK_SIZE):
        chunks.append(SweepChunk(sweep=sweep, number=len(chunks), first_town=first, last_town=last))
        towns += size
    SweepChunk.objects.bulk_create(chunks)
    return towns


def _ranges(ids: Iterator[UUID], size: int) -> Iterator[tuple[UUID, UUID, int]]:
    first, last, count = None, None, 0
    for last in ids:
        if count == 0:
            first = last
        count += 1
        if first is not None and count == size:
            yield first, last, count
            count = 0
    if first is not None and last is not None and count:
        yield first, last, count


def free(sweep: Sweep, now: datetime) -> QuerySet[SweepChunk]:
    """The chunks that are neither done nor in anybody's hand."""
    nobodys = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    return SweepChunk.objects.filter(
        nobodys, sweep=sweep, finished_at=None, sweep__finished_at=None
    ).order_by("number")


def claim(sweep: Sweep, owner: str, now: datetime) -> SweepChunk | None:
    """Take the first chunk that is free; None if there is none. One that was the owner's own and
    took too long is for another."""
    open_ones = free(sweep, now).exclude(lease_owner=owner)
    if not open_ones.exists():
        return None
    with transaction.atomic():
        chunk = open_ones.select_for_update(skip_locked=True, no_key=True, of=("self",)).first()
        if chunk is not None:
            chunk.lease_owner, chunk.lease_until = owner, _until(now)
            chunk.save(update_fields=["lease_owner", "lease_until"])
    return chunk


def renew(chunks: Collection[int], owner: str, now: datetime) -> None:
    """Keep the chunks that are worked on; one that was lost is not taken back."""
    _mine(owner).filter(pk__in=chunks).update(lease_until=_until(now))


def finish(chunk_id: int, owner: str, now: datetime) -> bool:
    """Close a chunk, in the transaction that stores what was found; False when it is another's."""
    return _mine(owner).filter(pk=chunk_id).update(finished_at=now) == 1


def runners(sweep: Sweep, now: datetime) -> int:
    """How many work at a sweep now."""
    held = SweepChunk.objects.filter(sweep=sweep, finished_at=None, lease_until__gt=now)
    return held.order_by().values("lease_owner").distinct().count()


def _mine(owner: str) -> QuerySet[SweepChunk]:
    return SweepChunk.objects.filter(finished_at=None, lease_owner=owner)


def _until(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.GASTOWN_LEASE_SECONDS)
