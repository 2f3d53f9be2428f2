"""A world: Fly, the sandboxes and R2 over one virtual clock, and the towns that live in it."""

import copy
import random
from datetime import datetime, timedelta
from typing import Self

from django.contrib.auth.models import User
from django.db.models import F, Min
from django.db.models.functions import Coalesce, Greatest

from towns import actions
from towns.flows.driver import drive_once
from towns.history import Actor
from towns.models import Operation, Town
from towns.services import Services
from towns.services.r2_types import live_prefix
from towns.words import OperationState

from .faults import Faults, Killed
from .fly import FakeFly
from .happenings import Record
from .process import Process
from .r2 import FakeR2
from .sandbox import FakeSandbox
from .things import FlyMachine, FlyVolume, Pace, Snapshot
from .timeline import Timeline

SHELL = Actor.shell()
ROUNDS = 100_000
"""So many rounds of driving without an end are a flow that never waits."""


class World:
    """Everything outside of the database. `services` is what flows and sweeps are given."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = Timeline()
        self.rng = random.Random(seed)
        self.pace = Pace()
        self.record = Record(self.clock)
        self.faults = Faults(self.clock)
        self.r2 = FakeR2(self.clock, self.faults, self.record)
        self.fly = FakeFly(self.clock, self.faults, self.record, self.pace, self.r2)
        self.sandbox = FakeSandbox(self.faults, self.fly)
        self.deaths = 0
        """Workers that were killed."""

    @property
    def services(self) -> Services:
        """The services over this world."""
        return Services(
            clock=self.clock, fly=self.fly, sandbox=self.sandbox, r2=self.r2, rng=self.rng
        )

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return self.clock.now()

    def fork(self) -> Self:
        """A copy that goes its own way. The database is not in it."""
        return copy.deepcopy(self)

    # Time

    def advance(self, seconds: float) -> None:
        """Let time pass without any worker of ours."""
        self.clock.advance(seconds)

    def settle(self, seconds: float = 3600) -> None:
        """Drive operations, letting time pass, until none is open or so many seconds are over.

        A worker that is Killed is followed by another one, when the lease is over.
        """
        ends = self.now + timedelta(seconds=seconds)
        for _ in range(ROUNDS):
            due = next_due()
            if due is None:
                return
            self.clock.advance_to(min(due, ends))
            if due > ends:
                return
            self.drive()
        raise AssertionError("an operation never waits and never ends")

    def drive(self) -> int:
        """Have one worker run what is due now; returns how much there was."""
        try:
            return drive_once(self.services)
        except Killed:
            self.deaths += 1
            return 0

    # Towns

    def create_town(self, name: str = "alpha", *, owner: str = "ada", region: str = "ams") -> Town:
        """A new town, whose provisioning is due."""
        user, _ = User.objects.get_or_create(username=owner, email=f"{owner}@example.org")
        requested = actions.create_town(user, name, actor=SHELL, now=self.now, region=region)
        return requested.operation.town

    def running_town(self, name: str = "alpha", *, owner: str = "ada") -> Town:
        """A new town that runs, with work in it that its backup has."""
        town = self.create_town(name, owner=owner)
        self.settle()
        town.refresh_from_db()
        assert town.status == "running", f"{town.status}: {town.status_reason}"
        self.work(town, "first work")
        self.advance(self.process(town).interval + self.pace.sync)
        return town

    def stopped_town(self, name: str = "alpha", *, owner: str = "ada", idle: bool = False) -> Town:
        """A new town that a person has stopped, or that was idle."""
        town = self.running_town(name, owner=owner)
        if idle:
            self.grow_idle(town)
        actions.request_stop(town.pk, actor=SHELL, now=self.now, idle=idle)
        self.settle()
        town.refresh_from_db()
        assert town.status == "stopped", f"{town.status}: {town.status_reason}"
        return town

    def destroyed_town(self, name: str = "alpha", *, owner: str = "ada") -> Town:
        """A new town that has been destroyed, with a retained backup."""
        town = self.running_town(name, owner=owner)
        actions.request_destroy(town.pk, actor=SHELL, now=self.now)
        self.settle()
        town.refresh_from_db()
        assert town.status == "destroyed", f"{town.status}: {town.status_reason}"
        return town

    def grow_idle(self, town: Town) -> None:
        """Let so much time pass without a sign of its owner that it counts as idle."""
        town.refresh_from_db()
        self.advance(town.idle_timeout_minutes * 60 + 120)

    # What is inside

    def machine(self, town: Town) -> FlyMachine:
        """The one machine of a town."""
        machines = self.fly.machines_of(town.pk)
        assert len(machines) == 1, f"{town.name} has {len(machines)} machines"
        return machines[0]

    def volume(self, town: Town) -> FlyVolume:
        """The volume that a town's machine mounts."""
        return self.fly.volumes[self.machine(town).volume_id]

    def process(self, town: Town) -> Process:
        """The sandbox process of a town that is started."""
        process = self.machine(town).process
        assert process is not None, f"the machine of {town.name} is not started"
        return process

    def work(self, town: Town, mark: str) -> None:
        """The town writes something that must not be lost once it is backed up."""
        self.process(town).work(mark)

    def marks(self, town: Town) -> tuple[str, ...]:
        """What a town has on its volume."""
        data = self.volume(town).data
        return data.marks if data is not None else ()

    def snapshots(self, town: Town) -> list[Snapshot]:
        """The live snapshots of a town, newest first."""
        found = self.r2.live(town.pk).snapshots
        return [found[name] for name in sorted(found, reverse=True)]

    # Faults

    def lose_machine(self, town: Town, *, runs_on: bool = False) -> str:
        """Fly forgets the town's machine: 404. With `runs_on` its process lives, unseen."""
        machine = self.machine(town)
        process, machine.process = machine.process, None
        self.fly.forget_machine(machine.id)
        if process is not None and runs_on:
            self.sandbox.lost[machine.id] = process
        elif process is not None:
            process.kill()
        self.record.note("machine lost", machine.id)
        return machine.id

    def lose_volume(self, town: Town) -> str:
        """The host of the volume dies: 404 for the volume, and the machine can't start again."""
        machine = self.machine(town)
        self.fly.crash(machine)
        machine.host_status = "unreachable"
        self.fly.volumes.pop(machine.volume_id)
        self.record.note("volume lost", machine.volume_id)
        return machine.volume_id

    def lose_host(self, town: Town) -> None:
        """Machine and volume are gone."""
        self.lose_volume(town)
        self.lose_machine(town)

    def mend(self) -> None:
        """Everything outside works again; what is broken stays broken until it is started anew."""
        self.faults.clear()
        self.fly.sick.clear()
        self.sandbox.dark.clear()
        for volume in self.fly.volumes.values():
            volume.has_room = True

    def allow_discard(self, town: Town) -> None:
        """From now on the town's data may go."""
        self.r2.may_lose.add(live_prefix(str(town.pk)))

    def check(self) -> None:
        """Fail with everything that happened although it must never happen."""
        assert not self.record.violations, "\n".join(self.record.violations)


def next_due() -> datetime | None:
    """When the next open operation can be claimed; None when none is open."""
    at = Greatest(F("due_at"), Coalesce(F("lease_until"), F("due_at")))
    found = Operation.objects.filter(state=OperationState.OPEN).aggregate(at=Min(at))
    return found["at"] if found["at"] is None or isinstance(found["at"], datetime) else None
