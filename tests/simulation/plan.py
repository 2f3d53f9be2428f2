"""What happens in a simulated history: drawn from a seed, before anything runs.

All chance is in the plan, so that a history replays exactly, and can be made shorter by leaving
events out.
"""

import random
from dataclasses import dataclass, replace
from typing import Self

HOUR = 3600.0
COMMIT = "database.commit"
"""Each commit of ours; the other calls are those to the outside."""
CALLS = (
    COMMIT,
    COMMIT,
    COMMIT,
    "fly.get_app",
    "fly.get_machine",
    "fly.list_machines",
    "fly.create_machine",
    "fly.start_machine",
    "fly.stop_machine",
    "fly.restart_machine",
    "fly.destroy_machine",
    "fly.list_volumes",
    "fly.get_volume",
    "fly.create_volume",
    "fly.destroy_volume",
    "sandbox.probe",
    "sandbox.request_sync",
    "r2.read_pointer",
    "r2.verify_latest",
    "r2.newest_verified",
    "r2.survey",
    "r2.copy_snapshot",
    "r2.write_pointer",
    "r2.empty",
)
MOMENTS = ("before", "after")
ERRORS = ("unavailable", "rate_limited", "conflict", "capacity")

OWNER = {
    "visit": 10,
    "work": 14,
    "polecats": 8,
    "idle": 8,
    "websocket": 2,
    "keep_awake": 1,
    "auto_stop": 1,
    "start": 8,
    "stop": 8,
    "restart": 2,
    "destroy": 3,
    "restore": 3,
    "create": 2,
}
STAFF = {
    "backup": 3,
    "recover": 6,
    "hold": 1,
    "release": 1,
    "freeze": 1,
    "thaw": 1,
    "discard": 1,
    "clear_restarts": 1,
    "from_backup": 3,
    "drill": 2,
    "window": 1,
    "confirm_orphans": 2,
    "confirm_gone": 1,
    "accept_held": 1,
    "drop_held": 1,
}
TROUBLE = {
    "crash": 6,
    "hang": 4,
    "sick": 2,
    "stop_behind": 2,
    "start_behind": 1,
    "lose_machine": 3,
    "lose_machine_that_runs_on": 2,
    "lose_volume": 3,
    "lose_host": 2,
    "full_host": 2,
    "stuck": 2,
    "migrated": 1,
    "r2_down": 2,
    "lose_newest": 1,
    "corrupt_newest": 2,
    "fly_down": 2,
    "network_down": 1,
    "outage": 2,
    "our_downtime": 1,
    "clock_jump": 1,
    "twice": 2,
    "stale_reads": 3,
    "shrink": 1,
}
AT_CALLS = {"fail": 14, "kill": 10, "pause": 4, "slow": 4, "meanwhile": 14}
OURS = ("drive", "sweep_health", "sweep_idle", "sweep_reconcile", "sweep_backups")
"""What our own processes may do in the middle of a call of another one."""
MEANWHILE = (
    *OURS,
    "visit",
    "start",
    "stop",
    "restart",
    "destroy",
    "restore",
    "polecats",
    "work",
    "crash",
    "lose_machine",
    "recover",
    "backup",
    "drill",
    "confirm_orphans",
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens: `at` seconds from the start, to a town if it is about one.

    What is armed at a call (`call` set) happens in the next such call, before or after its effect.
    """

    at: float
    what: str
    town: int = 0
    call: str = ""
    moment: str = ""
    detail: str = ""
    amount: float = 0

    def __str__(self) -> str:
        hours, rest = divmod(int(self.at), 3600)
        when = f"{hours:02}:{rest // 60:02}:{rest % 60:02}"
        where = f" {self.moment} {self.call}" if self.call else ""
        detail = f" {self.detail}" if self.detail else ""
        return f"{when} town {self.town}: {self.what}{detail}{where} ({self.amount:.0f})"


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole history: `hours` of `towns` towns with about `busy` events per town and hour, and
    then all is mended."""

    seed: int
    towns: int
    hours: float
    busy: float
    events: tuple[Event, ...]

    def only(self, numbers: list[int]) -> Self:
        """The same with just these of its events."""
        return replace(self, events=tuple(self.events[number] for number in numbers))

    @property
    def town_days(self) -> float:
        """How much life is in it."""
        return self.towns * self.hours / 24


def make_plan(seed: int, *, towns: int = 8, hours: float = 4, busy: float = 1) -> Plan:
    """The history of a seed; `busy` is the number of events per town and hour, about."""
    rng = random.Random(seed)
    calm = rng.choice((0.3, 1, 1, 2))  # some seeds are stormier than others
    count = int(towns * hours * busy * calm * rng.uniform(0.5, 1.5)) + 3
    ends = hours * HOUR
    events = [_event(rng, towns, rng.uniform(0, ends)) for _ in range(count)]
    events += _bursts(rng, towns, ends)
    return Plan(seed, towns, hours, busy, tuple(sorted(events, key=lambda event: event.at)))


def _event(rng: random.Random, towns: int, at: float) -> Event:
    town = rng.randrange(towns)
    amount = round(rng.uniform(5, 1800), 1)
    kind = rng.choices(("owner", "staff", "trouble", "call"), (40, 6, 18, 36))[0]
    if kind == "call":
        return _at_call(rng, Event(at, "", town, amount=amount))
    table = {"owner": OWNER, "staff": STAFF, "trouble": TROUBLE}[kind]
    what = rng.choices(list(table), list(table.values()))[0]
    return Event(at, what, town, amount=amount)


def _at_call(rng: random.Random, event: Event) -> Event:
    what = rng.choices(list(AT_CALLS), list(AT_CALLS.values()))[0]
    call, moment = rng.choice(CALLS), rng.choice(MOMENTS)
    if call == COMMIT and what in ("fail", "slow"):
        what = "kill"
    if call == COMMIT and what != "kill":
        moment = "after"  # until then a transaction keeps all others away
    detail = {"fail": rng.choice(ERRORS), "meanwhile": rng.choice(MEANWHILE)}.get(what, "")
    return replace(event, what=what, call=call, moment=moment, detail=detail)


def _bursts(rng: random.Random, towns: int, ends: float) -> list[Event]:
    """Chance alone seldom brings things together: one town, some minutes, many troubles."""
    events = []
    for _ in range(rng.randrange(4)):
        begins, town = rng.uniform(0, ends * 0.8), rng.randrange(towns)
        for _ in range(rng.randrange(2, 8)):
            one = _event(rng, towns, begins + rng.expovariate(1 / 120))
            events.append(replace(one, town=town))
    return events
