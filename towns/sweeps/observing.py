"""Which towns are due for a probe, and what their answers prove."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from towns import addresses
from towns.addresses import Addressed
from towns.models import Operation, Town
from towns.policy import Judgement, answered, judge
from towns.probe import Probe
from towns.services import Services
from towns.words import ACTIVE


class DueTown(NamedTuple):
    """What a sweep needs to know of a town to ask it: a fleet has many."""

    pk: UUID
    machine_id: str
    region: str
    key_version: int


@dataclass(frozen=True, slots=True)
class Observation:
    """One town as it was when it was asked, what it said, and what that proves."""

    town: Addressed
    probe: Probe
    judgement: Judgement


def due_towns(**where: Any) -> list[Town]:
    """The towns that are due for a probe, narrowed by a look-up such as `pk__in`, by id."""
    return list(_due(**where).select_related("owner"))


def due_in(first: UUID, last: UUID) -> list[DueTown]:
    """The towns from one id to another that are due for a probe, by id."""
    rows = _due(pk__gte=first, pk__lte=last).values_list(*DueTown._fields)
    return [DueTown._make(row) for row in rows]


def _due(**where: Any) -> QuerySet[Town]:
    busy = Operation.owning().values("town_id")
    active = Town.objects.filter(status__in=ACTIVE, **where).exclude(machine_id="")
    return active.exclude(pk__in=busy).order_by("pk")


def observe(towns: Sequence[Addressed], services: Services) -> list[Observation]:
    """Probe towns at the same time, outside of any transaction, and judge the answers."""
    probes = services.sandbox.probe_many(
        [addresses.sandbox_address(town) for town in towns],
        concurrency=settings.GASTOWN_PROBE_CONCURRENCY,
    )
    return judged(towns, probes, services)


def judged(
    towns: Iterable[Addressed], probes: Sequence[Probe], services: Services
) -> list[Observation]:
    """What the answers of towns that were asked together prove."""
    online = not probes or any(map(answered, probes)) or _is_online(services)
    return [
        Observation(
            town,
            probe,
            judge(probe, town_id=str(town.pk), machine_id=town.machine_id, online=online),
        )
        for town, probe in zip(towns, probes, strict=True)
    ]


def _is_online(services: Services) -> bool:
    """Nobody answered us: is it our own network? Fly and R2 are asked, once."""
    return services.fly.ping() or services.r2.ping()
