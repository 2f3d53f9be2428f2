"""What is compared: Fly's two lists of each app, and our rows, read after them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from towns import addresses
from towns.apps_in_use import ask_apps
from towns.drift import GOING, Lists, Thing, ThingKind, TownRow
from towns.fly_apps import configured
from towns.models import Operation, Town
from towns.rules import health_rules
from towns.services import Fly, Services
from towns.services.errors import Rejected, ServiceError
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
    "fly_app",
    "machine_id",
    "volume_id",
    "generation",
    "stop_reason",
    "last_result",
    "consecutive_failures",
    "busy",
)


@dataclass(frozen=True, slots=True)
class Listed:
    """What the apps listed, and why some did not."""

    lists: Lists
    failed: Mapping[str, ServiceError]


def list_fly(services: Services, apps: Sequence[str]) -> Listed:
    """One call for the machines and one for the volumes of each app.

    Raises the errors of `Fly` when no app gives both; of several a refusal, which is our mistake.
    """
    at = services.clock.now()
    answers = ask_apps(services, apps, _both)
    failed = {app: one for app, one in answers.items() if isinstance(one, ServiceError)}
    if len(failed) == len(apps):
        errors = list(failed.values())
        raise next((one for one in errors if isinstance(one, Rejected)), errors[0])
    lists_of = [one for one in answers.values() if not isinstance(one, ServiceError)]
    machines = [one for both in lists_of for one in both[0]]
    volumes = [one for both in lists_of for one in both[1]]
    of_town: defaultdict[UUID, list[Thing]] = defaultdict(list)
    for machine in machines:
        if machine.town is not None and machine.drill is None:
            of_town[machine.town].append(machine)
    lists = Lists(
        machines={one.id: one for one in machines if not one.going},
        volumes={one.id: one for one in volumes if not one.going},
        machines_of=of_town,
        at=at,
        apps=frozenset(apps) - set(failed),
    )
    return Listed(lists, failed)


def _both(fly: Fly, app: str) -> tuple[list[Thing], list[Thing]]:
    machines = [machine_thing(one, app) for one in fly.list_machines()]
    return machines, [volume_thing(one, app) for one in fly.list_volumes()]


def machine_thing(machine: Machine, app: str) -> Thing:
    """A machine of an app as reconciliation sees it."""
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
        app=app,
        going=machine.state in GOING,
    )


def volume_thing(volume: Volume, app: str) -> Thing:
    """A volume of an app as reconciliation sees it."""
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
        app=app,
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
    strikes, apps = health_rules().strikes, configured()
    only_app = apps[0] if len(apps) == 1 else ""
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
            app=app or only_app,
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
            app,
            machine_id,
            volume_id,
            generation,
            stop_reason,
            last_result,
            failures,
            busy,
        ) in towns.annotate(busy=Subquery(under_way.values("kind")[:1])).values_list(*_FIELDS)
    ]
