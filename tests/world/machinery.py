"""Fly's inside: what machines and volumes do once they have been told, and how long it takes."""

from collections.abc import Callable
from functools import partial

from towns.services.errors import NotFound
from towns.services.fly_types import MachineExit

from .app import asked_app
from .faults import Faults
from .happenings import Record
from .process import Process
from .r2 import FakeR2
from .things import FlyMachine, FlyVolume, Pace
from .timeline import Timeline

GONE = frozenset({"destroying", "destroyed"})


class Machinery:
    """Machines, volumes, and a sandbox process in each machine that is started."""

    def __init__(
        self, timeline: Timeline, faults: Faults, record: Record, pace: Pace, r2: FakeR2
    ) -> None:
        self.timeline = timeline
        self.faults = faults
        self.record = record
        self.pace = pace
        self.r2 = r2
        self.machines: dict[str, FlyMachine] = {}
        self.volumes: dict[str, FlyVolume] = {}
        self.sick: set[str] = set()
        """Towns in which `gt up` fails, and in a drill Dolt."""
        self.knows_drills = True
        """Whether the image does; one that doesn't takes a drill's machine for the town's."""
        self._number = 0

    def machines_of(self, town_id: object) -> list[FlyMachine]:
        """The machines of a town that aren't gone."""
        return [
            machine
            for machine in self.machines.values()
            if machine.town_id == str(town_id)
            and machine.state not in GONE
            and not machine.is_drill
        ]

    def drills(self) -> list[FlyMachine]:
        """The throw-away machines of restore drills that aren't gone."""
        return [one for one in self.machines.values() if one.is_drill and one.state not in GONE]

    def forget_volume(self, volume_id: str) -> None:
        """From now on Fly answers 404 for it."""
        if self.volumes.pop(volume_id, None) is not None:
            self.record.note("volume gone", volume_id)

    def forget_machine(self, machine_id: str) -> None:
        """From now on Fly answers 404 for it."""
        self.machines.pop(machine_id, None)

    def crash(self, machine: FlyMachine, *, exit_code: int = 137) -> None:
        """The process dies by itself; Fly's restart policy gives up."""
        self._command(machine, "stopped")
        self._end_process(machine)
        machine.last_exit = MachineExit(exit_code, exit_code == 137, False, self.timeline.now())

    def power_on_behind(self, machine: FlyMachine) -> None:
        """Somebody else starts it."""
        self._power_on(machine)

    def stick(self, machine: FlyMachine, seconds: float) -> None:
        """It stays in its passing state for so long; then its process is dead."""
        self._command(machine, machine.state)
        self._then(machine, seconds, self.crash)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _machine(self, machine_id: str) -> FlyMachine:
        machine = self.machines.get(machine_id)
        if machine is None or asked_app.get() not in (None, machine.app):
            raise NotFound(f"Fly has no machine {machine_id}.")
        return machine

    def _volume(self, volume_id: str) -> FlyVolume:
        volume = self.volumes.get(volume_id)
        if volume is None or asked_app.get() not in (None, volume.app):
            raise NotFound(f"Fly has no volume {volume_id}.")
        return volume

    def _attached(self, volume: FlyVolume) -> FlyMachine | None:
        for machine in self.machines.values():
            if machine.volume_id == volume.id and machine.state != "destroyed":
                return machine
        return None

    def _command(self, machine: FlyMachine, state: str) -> None:
        machine.epoch += 1
        machine.state = state
        machine.updated_at = self.timeline.now()

    def _then(
        self, machine: FlyMachine, seconds: float, action: Callable[[FlyMachine], None]
    ) -> None:
        """Go on with a machine later, unless another command comes in between."""
        self.timeline.later(seconds, partial(self._go_on, machine, machine.epoch, action))

    def _go_on(self, machine: FlyMachine, epoch: int, action: Callable[[FlyMachine], None]) -> None:
        if machine.epoch == epoch and machine.id in self.machines:
            action(machine)

    def _power_on(self, machine: FlyMachine) -> None:
        self._command(machine, "starting")
        self._then(machine, self.pace.boot, self._started)

    def _started(self, machine: FlyMachine) -> None:
        volume = self.volumes.get(machine.volume_id)
        if volume is None or machine.host_status != "ok":
            machine.event_error = f"volume {machine.volume_id} can't be mounted"
            self._command(machine, "stopped")
            return
        for other in self.machines.values():
            if other is not machine and other.process is not None and other.process.alive:
                drill = machine.is_drill or other.is_drill
                if other.town_id == machine.town_id and not drill:
                    self.record.violate(f"{machine.id} and {other.id} run for one town")
                if other.volume_id == machine.volume_id:
                    self.record.violate(f"{machine.id} and {other.id} share {volume.id}")
        machine.event_error = None
        machine.last_start_at = self.timeline.now()
        machine.state = "started"
        self.record.note("started", machine.id)
        machine.process = Process(
            machine_id=machine.id,
            env=machine.env,
            volume=volume,
            timeline=self.timeline,
            r2=self.r2,
            record=self.record,
            pace=self.pace,
            sick=machine.town_id in self.sick,
            drill=machine.is_drill and self.knows_drills,
        )
        machine.process.boot()

    def _power_off(
        self,
        machine: FlyMachine,
        state: str,
        signal: str,
        seconds: float,
        ended: Callable[[FlyMachine], None],
    ) -> None:
        self._command(machine, state)
        self._then(machine, seconds, ended)  # it is killed when the time-out is over
        if machine.process is None:
            ended(machine)
        elif signal == "SIGTERM":
            exited = partial(self._go_on, machine, machine.epoch, ended)
            machine.process.sigterm(exited)
        else:
            ended(machine)

    def _end_process(self, machine: FlyMachine) -> None:
        if machine.process is not None:
            machine.process.kill()
            machine.process = None

    def _stopped(self, machine: FlyMachine) -> None:
        self._end_process(machine)
        self._command(machine, "stopped")
        machine.last_exit = MachineExit(0, False, True, self.timeline.now())
        self.record.note("stopped", machine.id)

    def _restarted(self, machine: FlyMachine) -> None:
        self._stopped(machine)
        self._power_on(machine)

    def _destroyed(self, machine: FlyMachine) -> None:
        self._command(machine, "destroyed")
        self.record.note("machine destroyed", machine.id)
        self._then(machine, self.pace.forget, self._forgotten)

    def _forgotten(self, machine: FlyMachine) -> None:
        self.forget_machine(machine.id)

    def _guard_data(self, volume: FlyVolume) -> None:
        """Invariant 3: what is on a volume that is destroyed has to be in R2."""
        from towns.addresses import drill_of_volume, town_of_volume  # it needs Django's settings
        from towns.services.r2_types import live_prefix

        self.record.note("volume destroyed", volume.id)
        if drill_of_volume(volume.name) is not None:
            return  # what is on it came out of R2
        town_id = str(town_of_volume(volume.name))
        if volume.data is None or live_prefix(town_id) in self.r2.may_lose:
            return
        must = [mark for mark in volume.data.marks if mark not in self.r2.forgiven]
        lost = [mark for mark in must if not self.r2.is_kept(town_id, mark)]
        if lost or not self.r2.has_backup(town_id):
            self.record.violate(f"volume {volume.id} was destroyed without a backup of {lost}")
