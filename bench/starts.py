"""A thousand starts at once: what they take, and how many threads."""

import random
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from django.conf import settings

from bench.sweep import make_towns, timed
from towns import actions
from towns.flows.driver import drive
from towns.history import Actor
from towns.models import Town
from towns.probe import HealthReport, Probe
from towns.services import R2, FlyApps, Sandbox, Services, SystemClock
from towns.services.fly_types import Machine, Volume
from towns.services.sandbox import SandboxAddress
from towns.words import Status

BOOT_SECONDS = 10.0


class BootingFly:
    """Machines that take their time to start; calls themselves cost a millisecond."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def of(self, _app: str) -> "BootingFly":
        """There is one app."""
        return self

    def ping(self) -> bool:
        """It answers."""
        return True

    def get_machine(self, machine_id: str) -> Machine:
        """Stopped, starting or started."""
        time.sleep(0.001)
        told = self._told.get(machine_id)
        if told is None:
            state = "stopped"
        else:
            state = "started" if time.monotonic() - told > BOOT_SECONDS else "starting"
        return Machine(id=machine_id, name=machine_id, state=state, region="iad")

    def get_volume(self, volume_id: str) -> Volume:
        """It is there."""
        return Volume(id=volume_id, name="v", state="created", region="iad", size_gb=50)

    def list_machines(self, *, metadata: Mapping[str, str] | None = None) -> list[Machine]:
        """Not needed."""
        return []

    def start_machine(self, machine_id: str) -> None:
        """It boots."""
        time.sleep(0.001)
        self._told.setdefault(machine_id, time.monotonic())


class WellSandboxes:
    """All are healthy."""

    def probe(self, address: SandboxAddress) -> Probe:
        """A good report."""
        report = HealthReport(address.town_id, True, True, 4, polecats_active=0)
        return Probe(report, None, "", 1)

    def probe_many(self, addresses: Sequence[SandboxAddress], *, concurrency: int) -> list[Probe]:
        """Good reports."""
        return [self.probe(address) for address in addresses]


def run(*, towns: int) -> None:
    """Print how long it took, how many threads there were, and what it cost."""
    Town.objects.update(auto_stop=False)
    stopped = make_towns(towns, Status.STOPPED)
    services = Services(
        clock=SystemClock(),
        fly=cast(FlyApps, BootingFly()),
        sandbox=cast(Sandbox, WellSandboxes()),
        r2=cast(R2, None),
        rng=random.Random(1),
    )
    actor = Actor.shell()

    def ask() -> None:
        for town in stopped:
            actions.request_start(town.pk, actor=actor, now=services.clock.now())

    asked = timed(ask)
    watch = Watch()
    cpu = time.process_time()
    with watch:
        took = timed(lambda: drive(services, until_idle=BOOT_SECONDS))
    cpu = time.process_time() - cpu
    running = Town.objects.filter(pk__in=[t.pk for t in stopped], status=Status.RUNNING).count()
    print(f"{towns} starts at once, machines boot in {BOOT_SECONDS:.0f} s, SQLite")
    print(f"  asked for in:    {asked:6.2f} s")
    print(f"  all driven in:   {took:6.2f} s  ({running} of {towns} run)")
    print(f"  CPU of driver:   {1000 * cpu / towns:6.2f} ms per start")
    print(
        f"  threads at most: {watch.most:6d}    (driver threads: {settings.GASTOWN_DRIVER_THREADS})"
    )


class Watch:
    """Looks how many threads there are."""

    def __init__(self) -> None:
        self.most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.wait(0.05):
            self.most = max(self.most, threading.active_count() - 1)  # but for this one

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()
