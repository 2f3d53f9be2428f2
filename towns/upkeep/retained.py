"""Retained backups whose time is over (r2.md): R2 expires them by its lifecycle rule, and here
goes what a server without a lifecycle engine has left."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings

from towns.models import Backup
from towns.services import R2

GRACE = timedelta(days=1)
"""R2 takes up to a day, too: a restore that was begun at the last moment has its backup."""


def expire(r2: R2, now: datetime, *, dry_run: bool, enough: Callable[[], bool]) -> int:
    """Delete the objects, and mark backups that are not there any more; returns how many objects.

    Goes through the whole retained prefix until `enough` says so. Raises service errors.
    """
    before = now - timedelta(days=settings.GASTOWN_RETENTION_DAYS) - GRACE
    count = r2.expire_retained(before, dry_run=dry_run, enough=enough)
    if not dry_run and not enough():
        # They were verified after their upload, from which their time counts.
        over = Backup.objects.filter(kind=Backup.Kind.RETAINED, verified_at__lt=before)
        over.filter(gone_at=None).update(gone_at=now)
    return count
