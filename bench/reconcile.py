"""`sweep_reconcile` over many towns, side by side with a bare comparison of ids and states."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from bench.sweep import ROUNDS, counted, make_towns, timed
from towns import addresses
from towns.models import Town
from towns.services import R2, FlyApps, Sandbox, Services, SystemClock
from towns.services.fly_types import Machine, Volume
from towns.sweeps.reconcile import sweep_reconcile


@dataclass(frozen=True, slots=True)
class Listed:
    """Fly, as far as a sweep over a fleet that is well asks it."""

    machines: list[Machine]
    volumes: list[Volume]

    def of(self, _app: str) -> "Listed":
        """There is one app."""
        return self

    def list_machines(self) -> list[Machine]:
        """All of them."""
        return self.machines

    def list_volumes(self) -> list[Volume]:
        """All of them."""
        return self.volumes


def run(*, towns: int) -> None:
    """Print seconds and the ratio, the best of some rounds that alternate."""
    make_towns(max(0, towns - Town.objects.count()))
    Town.objects.update(
        status="running", desired_state="running", status_since=datetime(2026, 1, 1, tzinfo=UTC)
    )
    fly = _listed()
    services = Services(
        SystemClock(), cast(FlyApps, fly), cast(Sandbox, None), cast(R2, None), random.Random(1)
    )
    bare, swept, statements = [], [], 0
    for number in range(ROUNDS):
        bare.append(timed(lambda: compare_only(fly)))
        slot = datetime(2026, 2, 1, tzinfo=UTC) + timedelta(minutes=3 * number)
        with counted() as count:
            swept.append(timed(lambda slot=slot: sweep_reconcile(services, slot=slot)))
        statements = count[0]
    print(f"sweep_reconcile, {len(fly.machines)} towns, SQLite, the lists are there")
    print(f"  bare comparison of ids and states: {min(bare):6.2f} s")
    print(f"  sweep:                             {min(swept):6.2f} s")
    print(f"  ratio:                             {min(swept) / min(bare):6.2f}")
    print(f"  SQL statements: {statements}")


def compare_only(fly: Listed) -> None:
    """What is left when nothing is judged but whether machine and volume are there."""
    machines = {machine.id: machine.state for machine in fly.machines}
    volumes = {volume.id for volume in fly.volumes}
    rows = Town.objects.values_list("machine_id", "volume_id", "status")
    odd = [row for row in rows if machines.get(row[0]) != "started" or row[1] not in volumes]
    assert not odd


def _listed() -> Listed:
    found = Listed([], [])
    for town in Town.objects.select_related("owner"):
        found.machines.append(
            Machine(
                id=town.machine_id,
                name=addresses.machine_name(town),
                state="started",
                region=town.region,
                image=town.image,
                metadata=addresses.machine_metadata(town),
                volume_ids=(town.volume_id,),
            )
        )
        found.volumes.append(
            Volume(town.volume_id, addresses.volume_name(town), "created", town.region, 50)
        )
    return found
