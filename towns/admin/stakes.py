"""What a destroy puts at stake, told before it is confirmed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Max

from towns.admin.health_check import polecats
from towns.models import Backup, Town
from towns.readable import ago, size


@dataclass(frozen=True, slots=True)
class Stakes:
    """For people: how much data, how old its last verified backup is, who works there."""

    disk: str
    backup: str
    polecats: str


def stakes(towns: Iterable[Town], now: datetime) -> dict[UUID, Stakes]:
    """What is at stake in each town; one query."""
    wanted = list(towns)
    newest = dict(
        Backup.objects.filter(town__in=wanted, verified_at__isnull=False, gone_at=None, held=False)
        .order_by()
        .values_list("town")
        .annotate(Max("created_at"))
    )
    return {
        town.pk: Stakes(
            disk=size(town.figure("disk_used")),
            backup=ago(newest[town.pk], now) if town.pk in newest else "none",
            polecats=polecats(town.figure("polecats_active"), town.figure("polecats_total")),
        )
        for town in wanted
    }
