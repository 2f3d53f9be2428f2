"""One of the apps of Fly in memory: what is asked of it is answered of what it holds alone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towns.services.errors import NotFound, Rejected
from towns.services.fly_types import Machine, MachineSpec, Volume, VolumeSpec

if TYPE_CHECKING:
    from .fly import FakeFly

asked_app: ContextVar[str | None] = ContextVar("asked_app", default=None)
"""The app that is being asked; None while a test asks Fly itself, which knows of no apps."""


@dataclass(frozen=True, slots=True)
class FakeApp:
    """Fakes `Fly` over the machines and volumes of one app."""

    name: str
    fly: "FakeFly"
    guessed: bool = False
    """Whether a town's app was never recorded: then absence from this one proves nothing."""

    @contextmanager
    def _asked(self) -> Iterator["FakeFly"]:
        token = asked_app.set(self.name)
        try:
            yield self.fly
        except NotFound as error:
            if self.guessed:
                raise Rejected(f"{error} It may be in another app.") from error
            raise
        finally:
            asked_app.reset(token)

    def get_app(self) -> None:
        with self._asked() as fly:
            fly.get_app()

    def list_machines(self, *, metadata: Mapping[str, str] | None = None) -> list[Machine]:
        with self._asked() as fly:
            return fly.list_machines(metadata=metadata)

    def get_machine(self, machine_id: str) -> Machine:
        with self._asked() as fly:
            return fly.get_machine(machine_id)

    def create_machine(self, spec: MachineSpec) -> Machine:
        with self._asked() as fly:
            return fly.create_machine(spec)

    def start_machine(self, machine_id: str) -> None:
        with self._asked() as fly:
            fly.start_machine(machine_id)

    def stop_machine(
        self, machine_id: str, *, signal: str = "SIGTERM", timeout_seconds: int = 300
    ) -> None:
        with self._asked() as fly:
            fly.stop_machine(machine_id, signal=signal, timeout_seconds=timeout_seconds)

    def restart_machine(
        self, machine_id: str, *, timeout_seconds: int, signal: str = "SIGTERM"
    ) -> None:
        with self._asked() as fly:
            fly.restart_machine(machine_id, timeout_seconds=timeout_seconds, signal=signal)

    def destroy_machine(self, machine_id: str, *, force: bool) -> None:
        with self._asked() as fly:
            fly.destroy_machine(machine_id, force=force)

    def list_volumes(self) -> list[Volume]:
        with self._asked() as fly:
            return fly.list_volumes()

    def get_volume(self, volume_id: str) -> Volume:
        with self._asked() as fly:
            return fly.get_volume(volume_id)

    def create_volume(self, spec: VolumeSpec) -> Volume:
        with self._asked() as fly:
            return fly.create_volume(spec)

    def destroy_volume(self, volume_id: str) -> None:
        with self._asked() as fly:
            fly.destroy_volume(volume_id)
