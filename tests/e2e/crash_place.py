"""Where workers are killed: an installation, towns in it, and what must be true afterwards."""

import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests

from tests.e2e.installation import Installation, until
from tests.e2e.points import AT, STEP, Point, Slice
from tests.e2e.workers import walk

WORK = "the work"
SYNC_SECONDS = 20
Pair = tuple[str, str]
Statuses = list[list[str]]
"""Each as [from, to]."""
STATUSES: dict[str, Statuses] = {
    "provision": [["provisioning", "provisioning"], ["provisioning", "running"]],
    "start": [["stopped", "starting"], ["starting", "running"]],
    "stop": [["running", "stopping"], ["stopping", "stopped"]],
    "restart": [["running", "restarting"], ["restarting", "running"]],
    "recover": [["stopped", "recovering"], ["recovering", "running"]],
    "destroy": [["running", "destroying"], ["destroying", "destroyed"]],
    "restore": [["destroyed", "restoring"], ["restoring", "running"]],
    "backup": [],
    "drill": [],
}
"""What the history says once of each kind of operation that succeeds."""


@dataclass(frozen=True, slots=True)
class End:
    """How an operation must end."""

    state: str = "succeeded"
    statuses: Statuses | None = None
    """None: those of a success."""
    left: tuple[str, ...] = ()
    """The ids of what stays at Fly on purpose, of both towns."""


class Place:
    """An installation, its workers, and towns by what a test calls them."""

    def __init__(self, ops: Installation, chosen: Slice) -> None:
        self.ops = ops
        self.workers = ops.workers
        self.slice = chosen
        self._count = 0
        self._pair: Pair | None = None

    def new_town(self) -> str:
        """A town that is asked for and not yet there; returns its id."""
        self._count += 1
        town: str = self.workers.ask("create", name=f"crash-{self._count}")
        return town

    def running_town(self) -> str:
        """A town that runs and has its work."""
        town = self.new_town()
        self.workers.drive(town)
        self.ops.cloud.ctl.write(self.machine(town), "notes", WORK)
        return town

    def two_running_towns(self) -> Pair:
        """Two that run with their work, the same as last time if they still do."""
        if self._pair is None or {self.status(town) for town in self._pair} != {"running"}:
            with ThreadPoolExecutor(2) as pool:
                one, other = pool.submit(self.running_town), pool.submit(self.running_town)
                self._pair = one.result(), other.result()
        return self._pair

    def status(self, town: str) -> str:
        """What the row says."""
        return str(self.workers.ask("show", town=town)["status"])

    def machine(self, town: str) -> str:
        """The id of its machine."""
        return str(self.workers.ask("show", town=town)["machine_id"])

    def volume(self, town: str) -> str:
        """The id of its volume."""
        return str(self.workers.ask("show", town=town)["volume_id"])

    def do(self, towns: Pair, kind: str) -> None:
        """Have something done with nobody killed."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self.workers.drive, self.ask(towns, kind)))

    def ask(self, towns: Pair, kind: str, **params: object) -> Pair:
        """The towns, of which an operation was asked for."""
        for town in towns:
            self.workers.ask("request", town=town, kind=kind, **params)
        return towns

    def bring(self, town: str, to: str) -> None:
        """Have a worker come to the beginning of a step, and kill it there."""
        with self.workers.held(town, Point(to, STEP, 1, AT)) as kill:
            kill()

    def survives(self, kind: str, towns: Pair, end: End | None = None) -> None:
        """Run what was asked of both: the first unharmed, the second with all the kills."""
        end = end or End()
        unharmed, harmed = towns
        chosen = self.slice
        print(f"GASTOWN_CRASH_SEED={chosen.seed} GASTOWN_CRASH_SHARE={chosen.share:g}")
        with ThreadPoolExecutor(1) as pool:
            life = pool.submit(self.workers.drive, unharmed)
            died, met = walk(self.workers, harmed, chosen)
            calls = life.result().points
        print(f"{kind}: killed at {len(died)} of {len(met)} points")
        missing = not_met(calls, met)
        assert not missing, f"{kind}: nobody came to {', '.join(missing)}"
        assert len(died) == len(set(died)), "each worker came further than the last"
        assert set(died) == set(filter(chosen.has, met)), "and was killed wherever it was to be"
        self._assert_one_history(kind, harmed, len(died), end)
        self.assert_nothing_left(harmed, left=end.left)

    def _assert_one_history(self, kind: str, town: str, kills: int, end: End) -> None:
        """The operation was done once, by one worker more than were killed, and says so once."""
        done = self.workers.ask("operations", town=town)
        at = max(number for number, one in enumerate(done) if one["kind"] == kind)
        operation, claims = done[at], sum(one["claims"] for one in done[at:])
        assert operation["state"] == end.state, operation["message"]
        assert claims > kills, "each worker claimed it, or what followed from it, anew"
        expected = STATUSES[kind] if end.statuses is None else end.statuses
        assert operation["statuses"] == expected, f"one for each change: {operation['statuses']}"
        told = [event for event in operation["events"] if event != "machine_adopted"]
        assert len(told) == len(set(told)), f"told twice: {told}"

    def assert_nothing_left(self, town: str, *, left: tuple[str, ...] = ()) -> None:
        """Fly has what the rows say and no more, and R2 has of the town what it should."""
        problems = self.workers.ask("problems_at_fly")
        assert not [one for one in problems if not any(kept in one for kept in left)], problems
        assert len(problems) == len(left), f"{left} are to stay, and there are {problems}"

        def r2_is_in_order() -> bool:
            # What a sandbox uploads now, or did when it ended, is whole or gone with the next sync.
            found.append(self.workers.ask("problems_in_r2", town=town))
            return found[-1] == []

        found: list[list[str]] = []
        try:
            until(r2_is_in_order, "R2 is in order", seconds=2 * SYNC_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}: {found[-1]}") from None

    def has_its_work(self, town: str) -> None:
        """It runs, and what was written in it is there."""
        assert (status := self.status(town)) == "running", status
        work = self.ops.cloud.ctl.read(self.machine(town), "notes")
        assert work == WORK, f"its work is {work!r}"

    def comes_to(self, town: str, state: str) -> None:
        """Wait until Fly says so of its machine."""
        path = f"machines/{self.machine(town)}"
        until(lambda: self.fly("GET", path).json()["state"] == state, f"{town} is {state}")

    def starts(self, town: str) -> int:
        """How often its machine was started."""
        events = self.fly("GET", f"machines/{self.machine(town)}").json()["events"]
        return sum((event["type"], event["status"]) == ("start", "started") for event in events)

    def fly(self, method: str, path: str, body: object = None) -> requests.Response:
        """Ask Fly behind everybody's back."""
        cloud = self.ops.cloud
        answer = requests.request(
            method,
            f"{cloud.fly_api_url}/apps/{cloud.app}/{path}",
            json=body,
            headers={"authorization": f"Bearer {cloud.fly_api_token}"},
            timeout=10,
        )
        answer.raise_for_status()
        return answer


def drawn_slice() -> Slice:
    """A quarter of the points that only look, drawn anew, unless the environment says otherwise."""
    seed = os.environ.get("GASTOWN_CRASH_SEED") or secrets.randbelow(1_000_000)
    return Slice(float(os.environ.get("GASTOWN_CRASH_SHARE") or 0.25), int(seed))


def not_met(calls: list[Point], met: list[Point]) -> list[str]:
    """Which sides of which requests nobody came to. Those that change something, and the beginnings
    of steps, must have been met in the very step; for those that only look, and are repeated as
    often as there is something to wait for, it is enough to have been met in the flow."""
    exact, loose = set(met), {(point.call, point.side) for point in met}
    return [
        str(point)
        for point in dict.fromkeys(calls)
        if (point.call, point.side) not in loose or (not point.only_looks and point not in exact)
    ]
