"""Sandboxes that answer what a test says, behind the real sweeps."""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

from tests.factories import NOW
from tests.world.probing import at_once
from towns.models import Town
from towns.probe import HealthReport, Probe, ProbeProblem
from towns.services import R2, Fly, Sandbox, Services
from towns.services.protocols import Probing
from towns.services.sandbox import SandboxAddress


def good_report(town_id: str, now: datetime = NOW, **fields: Any) -> HealthReport:
    """A report of a healthy town without work."""
    report = HealthReport(
        town_id=town_id,
        daemon_running=True,
        dolt_running=True,
        tmux_sessions=4,
        daemon_heartbeat_at=now,
        polecats_active=0,
        polecats_total=0,
        disk_used=1_000,
        disk_total=100_000,
    )
    return replace(report, **fields)


def answer(report: HealthReport) -> Probe:
    """A probe that brought a report."""
    return Probe(report, None, "", 7)


def silence(
    problem: ProbeProblem = ProbeProblem.TIMEOUT, detail: str = "no answer in 5 s"
) -> Probe:
    """A probe that brought none."""
    return Probe(None, problem, detail, 5000)


@dataclass
class FakeClock:
    """Stands still until it is moved."""

    moment: datetime = NOW

    def now(self) -> datetime:
        """The time now."""
        return self.moment

    def advance(self, seconds: float) -> None:
        """Let time go by."""
        self.moment += timedelta(seconds=seconds)


@dataclass
class FakeSandboxes:
    """All towns are well, but for those in `broken`, by town id."""

    clock: FakeClock
    broken: dict[str, Probe] = field(default_factory=dict)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    while_asking: Callable[[], None] = lambda: None

    def probe(self, address: SandboxAddress) -> Probe:
        """What the town says."""
        self.asked.append(address.town_id)
        if address.town_id in self.broken:
            return self.broken[address.town_id]
        fields = self.reports.get(address.town_id, {})
        return answer(good_report(address.town_id, self.clock.now(), **fields))

    def probing(self, *, concurrency: int) -> AbstractContextManager[Probing]:
        """Answers at once."""
        return at_once(lambda asked: self.probe_many(asked, concurrency=concurrency))

    def probe_many(self, addresses: Sequence[SandboxAddress], *, concurrency: int) -> list[Probe]:
        """What all of them say; something may happen meanwhile."""
        found = [self.probe(address) for address in addresses]
        self.while_asking()
        return found


@dataclass
class FakePing:
    """Fly or R2, as far as a sweep asks it."""

    up: bool = True
    calls: int = 0

    def ping(self) -> bool:
        """Whether it answers."""
        self.calls += 1
        return self.up


class FakeFleet:
    """The outside of a sweep: `services` for the code, the rest for the test."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.sandboxes = FakeSandboxes(self.clock)
        self.fly, self.r2 = FakePing(), FakePing()
        self.services = Services(
            clock=self.clock,
            fly=cast(Fly, self.fly),
            sandbox=cast(Sandbox, self.sandboxes),
            r2=cast(R2, self.r2),
            rng=random.Random(1),
        )

    def break_town(self, town: Town, probe: Probe | None = None) -> None:
        """From now on it doesn't answer, or answers so."""
        self.sandboxes.broken[str(town.pk)] = probe or silence()

    def mend_town(self, town: Town) -> None:
        """It is well again."""
        self.sandboxes.broken.pop(str(town.pk), None)
