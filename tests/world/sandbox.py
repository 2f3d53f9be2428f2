"""The sandboxes' API in memory: it answers where a machine is started."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from towns.probe import Probe, ProbeProblem
from towns.services.errors import Conflict, Rejected, ServiceError, Unavailable
from towns.services.protocols import Probing
from towns.services.sandbox_types import SandboxAddress, SyncAnswer

from .faults import Faults
from .fly import FakeFly
from .probing import at_once
from .process import Process


class FakeSandbox:
    """Fakes `Sandbox` over the processes in Fly's machines."""

    service = "sandbox"

    def __init__(self, faults: Faults, fly: FakeFly) -> None:
        self.faults = faults
        self.fly = fly
        self.lost: dict[str, Process] = {}
        """Processes in machines that Fly no longer knows, but that run on."""
        self.dark: set[str] = set()
        """Regions in which nothing answers."""

    def probe(self, address: SandboxAddress) -> Probe:
        try:
            call = self.faults.before("sandbox.probe", address.town_id)
            process = self._process(address)
            self.faults.after(call)
        except ServiceError as error:
            return Probe(None, ProbeProblem.TIMEOUT, str(error), latency_ms=5000)
        if process is None:
            return Probe(None, ProbeProblem.REFUSED, "nothing answers there", latency_ms=1)
        if process.mute or self._is_dark(address):
            return Probe(None, ProbeProblem.TIMEOUT, "no answer within 5 s", latency_ms=5000)
        if process.key != address.key:
            return Probe(None, ProbeProblem.FORBIDDEN, "it refuses our key", latency_ms=3)
        return Probe(process.report(), None, "", latency_ms=12)

    def probing(self, *, concurrency: int) -> AbstractContextManager[Probing]:
        """Answers at once."""
        return at_once(lambda asked: self.probe_many(asked, concurrency=concurrency))

    def probe_many(self, addresses: Sequence[SandboxAddress], *, concurrency: int) -> list[Probe]:
        return [self.probe(address) for address in addresses]

    def request_sync(self, address: SandboxAddress) -> SyncAnswer:
        call = self.faults.before("sandbox.request_sync", address.town_id)
        process = self._process(address)
        if process is None or process.mute or self._is_dark(address):
            raise Unavailable(f"The sandbox of town {address.town_id} can't be reached.")
        if process.key != address.key:
            raise Rejected(f"The sandbox of town {address.town_id} refuses our key.")
        if process.drill:
            raise Conflict(f"A drill of town {address.town_id} never backs up.")
        if not process.town_ready:
            raise Conflict(f"The sandbox of town {address.town_id} restores.")
        if process.draining:
            raise Unavailable(f"The sandbox of town {address.town_id} is draining.")
        previous = process.backup_snapshot
        process.sync()
        self.faults.after(call)
        return SyncAnswer(accepted=True, previous=previous)

    def _is_dark(self, address: SandboxAddress) -> bool:
        machine = self.fly.machines.get(address.machine_id)
        return machine is not None and machine.region in self.dark

    def _process(self, address: SandboxAddress) -> Process | None:
        machine = self.fly.machines.get(address.machine_id)
        return machine.process if machine is not None else self.lost.get(address.machine_id)
