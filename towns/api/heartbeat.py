"""`POST /api/gastown/heartbeat`: a sandbox tells of its newest snapshot. A hint, never a proof."""

import hmac
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone
from ninja import Router

from towns import addresses
from towns.api.access import SandboxKey, SandboxRequest, forbidden
from towns.api.problems import Problem
from towns.api.shapes import Heartbeat
from towns.models import Town
from towns.services.r2_documents import stamp_time

router = Router(tags=["sandbox"])
AHEAD = timedelta(minutes=2)
"""As far as a sandbox's clock may be ahead of ours."""


@router.post("/heartbeat", auth=SandboxKey(), summary="A sandbox's newest snapshot")
def heartbeat(request: SandboxRequest, body: Heartbeat) -> dict[str, bool]:
    """Moves the town's `last_backup_at` forward, and nothing else: only what R2 shows is believed
    where data are at stake. It is no interaction."""
    town = Town.objects.filter(pk=body.town_id).first()
    key = addresses.town_key(town) if town else ""
    if town is None or not hmac.compare_digest(key.encode(), request.auth.encode()):
        raise forbidden()
    now = timezone.now()
    _refuse_the_future(body, now)
    if body.held or body.generation < town.generation:
        return {"noted": False}
    made_at = min(body.created_at, now)
    newer = Q(last_backup_at__isnull=True) | Q(last_backup_at__lt=made_at)
    noted = Town.objects.filter(newer, pk=town.pk, destroyed_at=None).update(
        last_backup_at=made_at, last_snapshot=body.snapshot
    )
    return {"noted": noted == 1}


def _refuse_the_future(body: Heartbeat, now: datetime) -> None:
    """Raise Problem for times that would pass for the newest for ever after."""
    named = stamp_time(body.snapshot)
    for what, moment in (
        ("created_at is", body.created_at),
        (f"Snapshot {body.snapshot} is ahead of our clock, by its name", named),
    ):
        if moment is not None and moment > now + AHEAD:
            minutes = (moment - now).total_seconds() / 60
            raise Problem(
                422,
                f"{what} {minutes:.0f} min in the future: the sandbox's clock is wrong, or "
                "ours. The snapshot is in R2 all the same; nothing was noted.",
                "clock",
            )
