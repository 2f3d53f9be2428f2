"""What is looked at during a storm, and what must never be seen."""

import email
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from django.db.models import Count, Max, Min

from localcloud.client import Ctl
from towns.budgets import RECOVERY_IS_HELD
from towns.models import Alert, Breaker, Freeze, LifecycleEvent, Operation, Town
from towns.words import ACTIVE, CheckResult, OperationKind, OperationState, Status

REBUILDS = (OperationKind.RESTART, OperationKind.RECOVER)
RUNS = ("starting", "started", "restarting", "replacing")


@dataclass(slots=True)
class Watch:
    """`lost` are the volumes that were lost on purpose, all others of a row must stay; `wrong`
    collects what should never be seen."""

    ctl: Ctl
    restarts_at_once: int
    lost: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    _volumes: set[str] = field(default_factory=set)

    def look(self) -> str:
        """Take a sample; returns a line that tells the state of things."""
        at_work = Operation.objects.filter(
            kind__in=REBUILDS, automatic=True, state=OperationState.OPEN
        ).exclude(step=RECOVERY_IS_HELD)
        if (count := at_work.count()) > self.restarts_at_once:
            self._see(f"{count} automatic restarts and recoveries are at work at once")
        self._volumes |= set(Town.objects.exclude(volume_id="").values_list("volume_id", flat=True))
        status = self.ctl.status()
        running = Counter(one["town"] for one in status["machines"] if one["state"] in RUNS)
        for town, machines in running.items():
            if machines > 1:
                self._see(f"{town} has {machines} machines that run")
        used = Counter(volume for one in status["machines"] for volume in one["volumes"])
        for volume, machines in used.items():
            if machines > 1:
                self._see(f"volume {volume} has {machines} machines")
        there = {volume["id"] for volume in status["volumes"] if volume["state"] == "created"}
        for volume in self._volumes - self.lost - there:
            self._see(f"volume {volume} of a living town is gone")
        rows = Town.objects.values_list("status").annotate(Count("pk")).order_by("status")
        told = ", ".join(f"{count} {name}" for name, count in rows)
        breakers = " ".join(Breaker.objects.values_list("state", flat=True))
        return f"{told}; Fly {status['fly']}; breakers: {breakers or 'none'}"

    def down(self) -> tuple[int, int]:
        """How many machines rest, and how many of the rows' volumes are gone."""
        status = self.ctl.status()
        there = {volume["id"] for volume in status["volumes"]}
        rest = sum(one["state"] == "stopped" for one in status["machines"])
        return rest, len(self._volumes - there)

    def not_as_desired(self) -> list[str]:
        """The towns that are not as desired: running, found healthy, with nothing under way."""
        busy = set(
            Operation.objects.filter(state=OperationState.OPEN).values_list("town_id", flat=True)
        )
        return [
            f"{town}: {town.status}, {town.consecutive_failures} failures"
            for town in Town.objects.select_related("owner")
            if town.pk in busy
            or town.status != Status.RUNNING
            or town.consecutive_failures
            or town.last_result != CheckResult.OK
        ]

    def unlike_fly(self) -> list[str]:
        """Where Fly and the rows differ at the end: orphans, twins, what is missing."""
        status = self.ctl.status()
        rows = Town.objects.filter(status__in=ACTIVE)
        machines = sorted(one["id"] for one in status["machines"])
        volumes = sorted(one["id"] for one in status["volumes"])
        problems = []
        if machines != sorted(rows.values_list("machine_id", flat=True)):
            problems.append("Fly has other machines than the rows say")
        if volumes != sorted(rows.values_list("volume_id", flat=True)):
            problems.append("Fly has other volumes than the rows say")
        problems += [
            f"{one['town']}: its machine is {one['state']}"
            for one in status["machines"]
            if one["state"] != "started"
        ]
        return problems

    def _see(self, what: str) -> None:
        if what not in self.wrong:
            self.wrong.append(what)


def most_restarts_at_once() -> int:
    """The most automatic restarts that ever were under way at the same time.

    By the order of the events, which are written together with what they tell.
    """
    restarts = Operation.objects.filter(kind=OperationKind.RESTART, automatic=True).annotate(
        began=Min("events__pk"),
        told=Max("events__pk"),
        followed=Min("successor__events__pk"),
    )
    moments: list[tuple[int, int]] = []
    for one in restarts:
        moments.append((one.began, 1))
        if not one.is_open:
            moments.append((one.followed or one.told, -1))
    return max(accumulate(step for _, step in sorted(moments)), default=0)


def done_since(event: int) -> dict[str, Any]:
    """Figures of what was done after an event."""
    events = LifecycleEvent.objects.filter(pk__gt=event, automatic=True)
    kinds = Counter(events.values_list("kind", flat=True))
    per_town = Counter(events.filter(kind="restart").values_list("town_id", flat=True))
    return {
        "restarts": kinds["restart"],
        "most_restarts_of_one_town": max(per_town.values(), default=0),
        "recoveries": kinds["recover"],
        "recovery_frozen": Freeze.objects.exists(),
        "decisions_not_to_restart": kinds["not_restarted"],
        "alerts": dict(Counter(Alert.objects.values_list("cause", flat=True))),
        "alerts_open": list(Alert.objects.filter(resolved_at=None).values_list("cause", flat=True)),
    }


def messages(folder: Path, staff: Sequence[str]) -> tuple[list[str], list[str]]:
    """The subjects of the mails to staff, and of those to anybody else."""
    to_staff: list[str] = []
    to_others: list[str] = []
    for file in sorted(folder.glob("*")):
        for text in file.read_text().split("-" * 79 + "\n"):
            mail = email.message_from_string(text)
            if mail["Subject"]:
                known = mail["To"] in staff
                (to_staff if known else to_others).append(str(mail["Subject"]))
    return to_staff, to_others
