"""What is compared: Fly's two lists, and our rows, read after them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from towns import addresses
from towns.drift import GOING, Lists, Thing, ThingKind, TownRow
from towns.models import Operation, Town
from towns.rules import health_rules
from towns.services import Services
from towns.services.fly_types import Machine, Volume
from towns.words import CheckResult, DesiredState, Status, StopReason

BATCH = 1000
_FIELDS = (
    "pk",
    "owner__username",
    "name",
    "status",
    "desired_state",
    "status_since",
    "region",
    "image",
    "machine_id",
    "volume_id",
    "generation",
    "stop_reason",
    "last_result",
    "consecutive_failures",
    "busy",
)


def list_fly(services: Services) -> Lists:
    """One call for the machines and one for the volumes. Raises the errors of `Fly`."""
    at = services.clock.now()
    machines = [machine_thing(one) for one in services.fly.list_machines()]
    volumes = [volume_thing(one) for one in services.fly.list_volumes()]
    of_town: defaultdict[UUID, list[Thing]] = defaultdict(list)
    for machine in machines:
        if machine.town is not None and machine.drill is None:
            of_town[machine.town].append(machine)
    return Lists(
        machines={one.id: one for one in machines if not one.going},
        volumes={one.id: one for one in volumes if not one.going},
        machines_of=of_town,
        at=at,
    )


def machine_thing(machine: Machine) -> Thing:
    """A machine as reconciliation sees it."""
    generation = machine.metadata.get(addresses.GENERATION_METADATA, "")
    return Thing(
        kind=ThingKind.MACHINE,
        id=machine.id,
        name=machine.name,
        state=machine.state,
        region=machine.region,
        made_at=machine.created_at,
        town=addresses.town_of_machine(machine.name, machine.metadata),
        generation=int(generation) if generation.isdecimal() else None,
        drill=addresses.drill_of_machine(machine.name, machine.metadata),
        image=machine.image,
        mounts=machine.volume_ids,
        going=machine.state in GOING,
    )


def volume_thing(volume: Volume) -> Thing:
    """A volume as reconciliation sees it."""
    return Thing(
        kind=ThingKind.VOLUME,
        id=volume.id,
        name=volume.name,
        state=volume.state,
        region=volume.region,
        made_at=volume.created_at,
        size_gb=volume.size_gb,
        town=addresses.town_of_volume(volume.name),
        generation=addresses.generation_of_volume(volume.name),
        drill=addresses.drill_of_volume(volume.name),
        attached_to=volume.attached_machine_id,
        going=volume.going_away,
    )


def living_rows(only: Sequence[UUID] | None = None) -> Iterator[list[TownRow]]:
    """The towns that aren't destroyed, by key, one statement a batch; or `only` these."""
    found = Town.objects.exclude(status=Status.DESTROYED).order_by("pk")
    if only is not None:
        for begin in range(0, len(only), BATCH):
            yield _rows(found.filter(pk__in=only[begin : begin + BATCH]))
        return
    part = _rows(found[:BATCH])
    yield part
    while len(part) == BATCH:
        part = _rows(found.filter(pk__gt=part[-1].id)[:BATCH])
        yield part


def rows_of(ids: Iterable[UUID]) -> dict[UUID, TownRow]:
    """The rows of these towns, also of the destroyed; one statement a batch."""
    wanted, found = sorted(set(ids)), dict[UUID, TownRow]()
    for begin in range(0, len(wanted), BATCH):
        towns = Town.objects.filter(pk__in=wanted[begin : begin + BATCH])
        found |= {row.id: row for row in _rows(towns)}
    return found


def count_living() -> int:
    """How many towns a sweep compares, for whoever shows its progress."""
    return Town.objects.exclude(status=Status.DESTROYED).count()


def _rows(towns: QuerySet[Town]) -> list[TownRow]:
    """Rows with the operation that owns the town, by one statement: both are as of the same
    moment."""
    under_way = Operation.owning().filter(town=OuterRef("pk"))
    strikes = health_rules().strikes
    # Values rather than model instances: a hundred thousand of them are read in each sweep.
    return [
        TownRow(
            id=pk,
            label=f"{owner}/{name}",
            status=Status(status),
            desired=DesiredState(desired),
            since=since,
            region=region,
            image=image,
            machine_id=machine_id,
            volume_id=volume_id,
            generation=generation,
            idle_stopped=stop_reason == StopReason.IDLE,
            counted_out=status == Status.UNHEALTHY
            and last_result == CheckResult.FAILED
            and failures >= strikes,
            busy=busy or "",
        )
        for (
            pk,
            owner,
            name,
            status,
            desired,
            since,
            region,
            image,
            machine_id,
            volume_id,
            generation,
            stop_reason,
            last_result,
            failures,
            busy,
        ) in towns.annotate(busy=Subquery(under_way.values("kind")[:1])).values_list(*_FIELDS)
    ]
