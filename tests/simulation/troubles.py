"""What goes wrong: at Fly, in R2, in towns, in our own house."""

from functools import partial
from typing import TYPE_CHECKING

from tests.world import FlyMachine
from towns.models import Town
from towns.services.errors import (
    CapacityError,
    Conflict,
    RateLimited,
    ServiceError,
    Unavailable,
)

from .deeds import Deed
from .plan import Event

if TYPE_CHECKING:
    from .simulation import Simulation

JUMP_SECONDS = 300
"""As far a host's clock jumps, when it does."""


def _machine(sim: "Simulation", town: Town) -> FlyMachine | None:
    return next(iter(sim.world.fly.machines_of(town.pk)), None)


def crash(sim: "Simulation", town: Town, event: Event) -> None:
    """The machine's process dies."""
    machine = _machine(sim, town)
    if machine is not None and machine.state == "started":
        sim.world.fly.crash(machine)


def stop_behind(sim: "Simulation", town: Town, event: Event) -> None:
    """Somebody stops the machine at Fly."""
    machine = _machine(sim, town)
    if machine is not None and machine.state == "started":
        sim.world.fly.crash(machine, exit_code=0)


def start_behind(sim: "Simulation", town: Town, event: Event) -> None:
    """Somebody starts a stopped machine at Fly."""
    machine = _machine(sim, town)
    if machine is not None and machine.state == "stopped" and machine.host_status == "ok":
        sim.world.fly.power_on_behind(machine)


def hang(sim: "Simulation", town: Town, event: Event) -> None:
    """It runs, and answers nothing any more."""
    machine = _machine(sim, town)
    if machine is not None and machine.process is not None:
        machine.process.mute = True


def sick(sim: "Simulation", town: Town, event: Event) -> None:
    """The daemon dies, and `gt up` fails for a while."""
    machine = _machine(sim, town)
    if machine is not None and machine.process is not None:
        machine.process.daemon_running = False
    sim.world.fly.sick.add(str(town.pk))
    sim.later(event.amount, partial(sim.world.fly.sick.discard, str(town.pk)))


def lose_machine(sim: "Simulation", town: Town, event: Event) -> None:
    """Fly forgets the machine: 404."""
    if len(sim.world.fly.machines_of(town.pk)) == 1:
        sim.world.lose_machine(town, runs_on=event.what == "lose_machine_that_runs_on")


def lose_host(sim: "Simulation", town: Town, event: Event) -> None:
    """A host dies: volume and machine of this town, and of two more of its region, are gone."""
    number = sim.towns.index(town.pk)
    here = Town.objects.select_related("owner").filter(region=town.region).in_bulk()
    for pk in [pk for pk in sim.towns[number:] if pk in here][:3]:
        lose_volume(sim, here[pk], event)


def lose_volume(sim: "Simulation", town: Town, event: Event) -> None:
    """The volume's disk dies; with `lose_host` Fly forgets the machine, too."""
    machine = _machine(sim, town)
    if machine is None or len(sim.world.fly.machines_of(town.pk)) != 1:
        return
    if machine.volume_id not in sim.world.fly.volumes:
        return
    sim.truth.volume_lost(sim.world, town.pk)
    sim.world.lose_volume(town)
    if event.what == "lose_host":
        sim.world.lose_machine(town)


def full_host(sim: "Simulation", town: Town, event: Event) -> None:
    """The volume's host has no room to start a machine, for a while."""
    machine = _machine(sim, town)
    volume = sim.world.fly.volumes.get(machine.volume_id) if machine else None
    if volume is not None:
        volume.has_room = False
        sim.later(event.amount, partial(setattr, volume, "has_room", True))


def stuck(sim: "Simulation", town: Town, event: Event) -> None:
    """The machine stays in a passing state, for a while; then Fly says that it failed."""
    machine = _machine(sim, town)
    if machine is not None and machine.state in ("starting", "stopping", "creating", "restarting"):
        sim.world.fly.stick(machine, event.amount)


def migrated(sim: "Simulation", town: Town, event: Event) -> None:
    """Fly moves the machine: it is stopped and started again on another host."""
    machine = _machine(sim, town)
    if machine is not None and machine.state == "started":
        sim.world.fly.crash(machine, exit_code=0)
        sim.later(event.amount / 10, partial(start_behind, sim, town, event))


def r2_down(sim: "Simulation", town: Town, event: Event) -> None:
    """R2 refuses everything, for a while."""
    sim.down("r2_down", event.amount)


def fly_down(sim: "Simulation", town: Town, event: Event) -> None:
    """Fly's API doesn't answer, for a while."""
    sim.down("fly_down", event.amount)


def network_down(sim: "Simulation", town: Town, event: Event) -> None:
    """Nothing answers us, for a while."""
    sim.down("fly_down", event.amount / 2)
    sim.down("r2_down", event.amount / 2)
    sim.down("sandboxes_down", event.amount / 2)


def outage(sim: "Simulation", town: Town, event: Event) -> None:
    """Every machine of the town's region hangs, for a while; Fly's API answers all the same."""
    sim.begin_outage(town.region, event.amount)


def lose_newest(sim: "Simulation", town: Town, event: Event) -> None:
    """R2 loses the newest snapshot of a town that lives on its volume."""
    if _lives_on_its_volume(sim, town) and (found := sim.world.snapshots(town)):
        del sim.world.r2.live(town.pk).snapshots[found[0].timestamp]


def corrupt_newest(sim: "Simulation", town: Town, event: Event) -> None:
    """The newest snapshot of a town that lives on its volume rots."""
    if _lives_on_its_volume(sim, town) and (found := sim.world.snapshots(town)):
        found[0].missing_file = event.amount > 900
        found[0].bad_checksum = event.amount <= 900


def _lives_on_its_volume(sim: "Simulation", town: Town) -> bool:
    """One blow at a time: else the data is lost by nobody's fault."""
    machine = _machine(sim, town)
    volume = sim.world.fly.volumes.get(machine.volume_id) if machine else None
    return town.status in ("running", "stopped") and volume is not None and volume.data is not None


def our_downtime(sim: "Simulation", town: Town, event: Event) -> None:
    """None of our processes runs, for a while."""
    sim.ours.off_until = max(sim.ours.off_until, sim.world.now.timestamp() + event.amount)


def clock_jump(sim: "Simulation", town: Town, event: Event) -> None:
    """The clock of one host jumps, and is put right after some minutes."""
    clock = sim.ours.clocks[event.town % len(sim.ours.clocks)]
    clock.jump(JUMP_SECONDS if event.amount > 900 else -JUMP_SECONDS)
    sim.later(600, partial(clock.jump, 0))


def twice(sim: "Simulation", town: Town, event: Event) -> None:
    """The next sweep's tasks are delivered twice."""
    sim.ours.delivered_twice = True


def stale_reads(sim: "Simulation", town: Town, event: Event) -> None:
    """For some seconds Fly's lists, and what it says of its machines, are as they are now."""
    sim.world.fly.go_stale(min(event.amount, 10))


def shrink(sim: "Simulation", town: Town, event: Event) -> None:
    """Most of what is in the town is deleted: the next snapshots are held back."""
    machine = _machine(sim, town)
    volume = sim.world.fly.volumes.get(machine.volume_id) if machine else None
    if volume is not None and volume.data is not None:
        volume.data = volume.data.shrunk()


TROUBLES: dict[str, Deed] = {
    "crash": crash,
    "hang": hang,
    "sick": sick,
    "stop_behind": stop_behind,
    "start_behind": start_behind,
    "lose_machine": lose_machine,
    "lose_machine_that_runs_on": lose_machine,
    "lose_volume": lose_volume,
    "lose_host": lose_host,
    "full_host": full_host,
    "stuck": stuck,
    "migrated": migrated,
    "r2_down": r2_down,
    "lose_newest": lose_newest,
    "corrupt_newest": corrupt_newest,
    "fly_down": fly_down,
    "network_down": network_down,
    "outage": outage,
    "our_downtime": our_downtime,
    "clock_jump": clock_jump,
    "twice": twice,
    "stale_reads": stale_reads,
    "shrink": shrink,
}


def error_of(name: str) -> ServiceError:
    """The error that a call fails with."""
    match name:
        case "rate_limited":
            return RateLimited("Too many requests.", retry_after=5)
        case "conflict":
            return Conflict("The machine is leased by somebody else.")
        case "capacity":
            return CapacityError("insufficient resources available")
    return Unavailable("Fly answered 503.")
