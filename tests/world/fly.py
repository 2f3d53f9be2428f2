"""Fly in memory: the Machines API over its machinery."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from towns.fly_apps import configured, presumed
from towns.services.errors import CapacityError, Conflict, Rejected, ServiceError
from towns.services.fly_types import Machine, MachineSpec, Volume, VolumeSpec

from .app import FakeApp, asked_app
from .calls import external
from .machinery import GONE, Machinery
from .things import FlyMachine, FlyVolume

RESTING = frozenset({"created", "stopped", "failed", "suspended"})


class FakeFly(Machinery):
    """The Machines API. Fakes `Fly`."""

    service = "fly"
    _stale: "_Stale | None" = None

    def ping(self) -> bool:
        try:
            self.faults.after(self.faults.before("fly.ping", ""))
        except ServiceError:
            return False
        return True

    def of(self, app: str) -> FakeApp:
        """One of its apps; of a town whose app was never recorded the first one, as a guess."""
        return FakeApp(presumed(app), self, guessed=not app and len(configured()) > 1)

    @external
    def get_app(self) -> None:
        """The app exists."""

    @external
    def list_machines(self, *, metadata: Mapping[str, str] | None = None) -> list[Machine]:
        wanted = dict(metadata or {}).items()
        if self._stale is not None:
            return [one for one in self._stale.machines.values() if wanted <= one.metadata.items()]
        return [
            _seen(machine)
            for machine in self.machines.values()
            if machine.state != "destroyed"
            and wanted <= machine.metadata.items()
            and asked_app.get() in (None, machine.app)
        ]

    @external
    def get_machine(self, machine_id: str) -> Machine:
        if self._stale is not None and machine_id in self._stale.machines:
            return self._stale.machines[machine_id]
        return _seen(self._machine(machine_id))

    @external
    def create_machine(self, spec: MachineSpec) -> Machine:
        app = asked_app.get() or "towns"
        for other in self.machines.values():
            if other.name == spec.name and other.state != "destroyed" and other.app == app:
                raise Conflict(f"machine ID {other.id} has that name already.", other.id)
        volume = self.volumes.get(spec.volume_id)
        if volume is None or volume.app != app:
            raise Rejected(f"Volume {spec.volume_id} not found.")
        if self._attached(volume) is not None:
            raise Conflict(f"Volume {volume.id} is attached already.")
        if not volume.has_room:
            raise CapacityError("insufficient resources on the volume's host.")
        now = self.timeline.now()
        machine = FlyMachine(
            id=f"{self._next():014x}",
            name=spec.name,
            region=spec.region,
            image=spec.image,
            env=dict(spec.env),
            metadata=dict(spec.metadata),
            volume_id=spec.volume_id,
            instance_id=f"01INSTANCE{self._number:016d}",
            created_at=now,
            updated_at=now,
            app=app,
        )
        self.machines[machine.id] = machine
        self.record.note("machine created", machine.id)
        self._then(machine, self.pace.create, self._power_on)
        return _seen(machine)

    @external
    def start_machine(self, machine_id: str) -> None:
        machine = self._machine(machine_id)
        if machine.state in {"started", "starting"}:
            return
        if machine.state not in RESTING:
            raise Conflict(f"Machine {machine_id} is {machine.state}.")
        volume = self.volumes.get(machine.volume_id)
        if volume is not None and not volume.has_room:
            raise CapacityError("insufficient resources on the volume's host.")
        self._power_on(machine)

    @external
    def stop_machine(
        self, machine_id: str, *, signal: str = "SIGTERM", timeout_seconds: int = 300
    ) -> None:
        machine = self._machine(machine_id)
        if machine.state in {"started", "starting", "creating"}:
            self._power_off(machine, "stopping", signal, timeout_seconds, self._stopped)

    @external
    def restart_machine(
        self, machine_id: str, *, timeout_seconds: int, signal: str = "SIGTERM"
    ) -> None:
        machine = self._machine(machine_id)
        if machine.state != "started":
            raise Conflict(f"Machine {machine_id} is {machine.state}.")
        self._power_off(machine, "restarting", signal, timeout_seconds, self._restarted)

    @external
    def destroy_machine(self, machine_id: str, *, force: bool) -> None:
        machine = self._machine(machine_id)
        if machine.state in GONE:
            return
        if machine.state not in RESTING and not force:
            raise Conflict(f"Machine {machine_id} is {machine.state}.")
        self._command(machine, "destroying")
        self._end_process(machine)
        self._then(machine, self.pace.destroy, self._destroyed)

    @external
    def list_volumes(self) -> list[Volume]:
        if self._stale is not None:
            return list(self._stale.volumes)
        return [
            self._shown(volume)
            for volume in self.volumes.values()
            if asked_app.get() in (None, volume.app)
        ]

    @external
    def get_volume(self, volume_id: str) -> Volume:
        return self._shown(self._volume(volume_id))

    @external
    def create_volume(self, spec: VolumeSpec) -> Volume:
        volume = FlyVolume(
            id=f"vol_{self._next():08x}",
            name=spec.name,
            region=spec.region,
            size_gb=spec.size_gb,
            created_at=self.timeline.now(),
            app=asked_app.get() or "towns",
        )
        self.volumes[volume.id] = volume
        self.record.note("volume created", volume.id)
        return self._shown(volume)

    @external
    def destroy_volume(self, volume_id: str) -> None:
        volume = self._volume(volume_id)
        if (machine := self._attached(volume)) is not None:
            raise Conflict(f"Volume {volume_id} is attached to {machine.id}.")
        if volume.state == "created":
            volume.state = "pending_destroy"
            self._guard_data(volume)
            self.timeline.later(self.pace.destroy, partial(self.forget_volume, volume_id))

    def go_stale(self, seconds: float) -> None:
        """For so long its lists, and what it says of the machines there are, stay as they are now.

        What is made meanwhile is found by its id all the same.
        """
        machines = {
            one.id: _seen(one) for one in self.machines.values() if one.state != "destroyed"
        }
        self._stale = _Stale(machines, [self._shown(one) for one in self.volumes.values()])
        self.timeline.later(seconds, partial(self._freshen, self._stale))

    def _freshen(self, stale: "_Stale") -> None:
        if self._stale is stale:
            self._stale = None

    def _shown(self, volume: FlyVolume) -> Volume:
        machine = self._attached(volume)
        return Volume(
            id=volume.id,
            name=volume.name,
            state=volume.state,
            region=volume.region,
            size_gb=volume.size_gb,
            attached_machine_id=machine.id if machine else None,
            created_at=volume.created_at,
        )


@dataclass(frozen=True, slots=True)
class _Stale:
    """What Fly's readers see while they lag behind."""

    machines: dict[str, Machine]
    volumes: list[Volume]


def _seen(machine: FlyMachine) -> Machine:
    return Machine(
        id=machine.id,
        name=machine.name,
        state=machine.state,
        region=machine.region,
        instance_id=machine.instance_id,
        image=machine.image,
        metadata=dict(machine.metadata),
        volume_ids=(machine.volume_id,),
        host_status=machine.host_status,
        created_at=machine.created_at,
        updated_at=machine.updated_at,
        last_start_at=machine.last_start_at,
        last_exit=machine.last_exit,
        event_error=machine.event_error,
    )
