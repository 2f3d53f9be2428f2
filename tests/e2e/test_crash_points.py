"""Every flow survives `kill -9` of its worker before and after every call that leaves the process.

Each flow is run once unharmed, which tells the calls that it makes; then again, by workers of which
each is killed at the first point that none before it died at, so that every next one takes over
what is half done. What counts as a point: `points.py`. It is all the same on SQLite.
"""

import time
from collections.abc import Iterator

import pytest
import requests

from tests.e2e.installation import Installation, installation, until
from tests.e2e.points import AFTER, AT, Point
from tests.e2e.workers import Workers, running_workers, walk

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
WORK = "the work"
SYNC_SECONDS = 20
Pair = tuple[str, str]


class Place:
    """An installation, its workers, and towns by what a test calls them."""

    def __init__(self, ops: Installation, workers: Workers) -> None:
        self.ops = ops
        self.workers = workers
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
        if self._pair is None or {
            self.workers.ask("show", town=town)["status"] for town in self._pair
        } != {"running"}:
            self._pair = self.running_town(), self.running_town()
        return self._pair

    def machine(self, town: str) -> str:
        """The id of its machine."""
        machine: str = self.workers.ask("show", town=town)["machine_id"]
        return machine

    def do(self, town: str, kind: str) -> None:
        """Have something done with nobody killed."""
        self.workers.ask("request", town=town, kind=kind)
        self.workers.drive(town)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for all tests here. Towns back up by themselves only once in a while."""
    folder = tmp_path_factory.mktemp("crash")
    with (
        installation(folder, GASTOWN_SYNC_INTERVAL_SECONDS=str(SYNC_SECONDS)) as ops,
        running_workers(ops, folder) as workers,
    ):
        yield Place(ops, workers)


def survives(place: Place, kind: str, towns: Pair) -> None:
    """Run what was asked of both: on the first unharmed, on the second with all the kills."""
    unharmed, harmed = towns
    calls = place.workers.drive(unharmed).points
    died = walk(place.workers, harmed)
    print(f"{kind}: killed at {len(died)} points")
    missing = not_met(calls, died)
    assert not missing, f"{kind}: nobody was killed {', '.join(missing)}"
    assert_one_history(place, kind, harmed, len(died))
    assert_nothing_left(place, harmed)


def asked(place: Place, kind: str, towns: Pair, **params: object) -> Pair:
    """The towns, of which an operation was asked for."""
    for town in towns:
        place.workers.ask("request", town=town, kind=kind, **params)
    return towns


def not_met(calls: list[Point], died: list[Point]) -> list[str]:
    """Which sides of which calls nobody died at. Calls that change something, and the beginnings of
    steps, must have been met in the very step; for those that only look, and are repeated as often
    as there is something to wait for, it is enough to have been met in the flow."""
    exact, loose = set(died), {(point.call, point.side) for point in died}
    return [
        str(point)
        for point in dict.fromkeys(calls)
        if (point.call, point.side) not in loose
        or ((point.side == AT or point.changes_something) and point not in exact)
    ]


def assert_one_history(place: Place, kind: str, town: str, kills: int) -> None:
    """The operation was done once, by one worker more than were killed, and says so once."""
    operation = place.workers.ask("operations", town=town)[-1]
    assert (operation["kind"], operation["state"]) == (kind, "succeeded"), operation["message"]
    assert operation["claims"] > kills, "each worker claimed it anew"
    expected = {
        "provision": [["provisioning", "provisioning"], ["provisioning", "running"]],
        "start": [["stopped", "starting"], ["starting", "running"]],
        "stop": [["running", "stopping"], ["stopping", "stopped"]],
        "restart": [["running", "restarting"], ["restarting", "running"]],
        "recover": [["stopped", "recovering"], ["recovering", "running"]],
        "destroy": [["running", "destroying"], ["destroying", "destroyed"]],
        "restore": [["destroyed", "restoring"], ["restoring", "running"]],
        "backup": [],
    }[kind]
    assert operation["statuses"] == expected, "one event for each change of status"


def assert_nothing_left(place: Place, town: str) -> None:
    """Fly has what the row says and no more, and R2 has what it should."""
    assert place.workers.ask("problems_at_fly", town=town) == []

    def r2_is_in_order() -> bool:
        # What a sandbox uploads now, or did when it ended, is whole or gone with the next sync.
        found.append(place.workers.ask("problems_in_r2", town=town))
        return found[-1] == []

    found: list[list[str]] = []
    try:
        until(r2_is_in_order, "R2 is in order", seconds=2 * SYNC_SECONDS)
    except AssertionError as error:
        raise AssertionError(f"{error}: {found[-1]}") from None


def has_its_work(place: Place, town: str) -> None:
    """It runs, and what was written in it is there."""
    assert place.workers.ask("show", town=town)["status"] == "running"
    assert place.ops.cloud.ctl.read(place.machine(town), "notes") == WORK


def starts(place: Place, town: str) -> int:
    """How often its machine was started."""
    cloud = place.ops.cloud
    answer = requests.get(
        f"{cloud.fly_api_url}/apps/{cloud.app}/machines/{place.machine(town)}",
        headers={"authorization": f"Bearer {cloud.fly_api_token}"},
        timeout=10,
    )
    events = answer.json()["events"]
    return sum((event["type"], event["status"]) == ("start", "started") for event in events)


@pytest.fixture
def towns(place: Place) -> Pair:
    """Two towns that run with their work: those of the test before, if it left them so."""
    return place.two_running_towns()


def test_provision(place: Place) -> None:
    survives(place, "provision", (place.new_town(), place.new_town()))


def test_stop_and_start(place: Place, towns: Pair) -> None:
    survives(place, "stop", asked(place, "stop", towns))
    before = starts(place, towns[1])
    survives(place, "start", asked(place, "start", towns))
    assert starts(place, towns[1]) == before + 1
    has_its_work(place, towns[1])


def test_idle_stop(place: Place, towns: Pair) -> None:
    for town in towns:
        place.workers.ask("make_idle", town=town)
    survives(place, "stop", asked(place, "stop", towns, idle=True))


def test_restart(place: Place, towns: Pair) -> None:
    before = starts(place, towns[1])
    survives(place, "restart", asked(place, "restart", towns))
    assert starts(place, towns[1]) == before + 1, "it was restarted once"
    has_its_work(place, towns[1])


def test_backup(place: Place, towns: Pair) -> None:
    before = place.workers.ask("pointer", town=towns[1])
    survives(place, "backup", asked(place, "backup", towns))
    assert place.workers.ask("pointer", town=towns[1]) > before
    has_its_work(place, towns[1])


def test_recover_where_the_machine_is_gone(place: Place, towns: Pair) -> None:
    volume = place.workers.ask("show", town=towns[1])["volume_id"]
    for town in towns:
        place.do(town, "stop")
        place.ops.cloud.ctl.destroy(place.machine(town))
    survives(place, "recover", asked(place, "recover", towns))
    assert place.workers.ask("show", town=towns[1])["volume_id"] == volume
    has_its_work(place, towns[1])


def test_recover_where_the_volume_is_lost(place: Place, towns: Pair) -> None:
    for town in towns:
        place.do(town, "stop")
        place.ops.cloud.ctl.lose_volume(place.workers.ask("show", town=town)["volume_id"])
    survives(place, "recover", asked(place, "recover", towns))
    has_its_work(place, towns[1])


def test_destroy_and_restore(place: Place, towns: Pair) -> None:
    survives(place, "destroy", asked(place, "destroy", towns))
    assert place.ops.machines_of(towns[1]) == []
    survives(place, "restore", asked(place, "restore", towns))
    has_its_work(place, towns[1])


def test_nothing_is_left_over_at_fly(place: Place) -> None:
    assert place.workers.ask("problems_at_fly") == []


def test_another_worker_finishes_within_a_minute(place: Place, towns: Pair) -> None:
    """With the default lease, of 30 s, and by a worker of its own that was running already."""
    harmed, other = towns
    place.workers.ask("request", town=harmed, kind="stop")
    at = Point("stop_machine", "fly.stop_machine", 1, AFTER)
    with (
        place.workers.held(harmed, at) as kill,
        place.ops.started("run_operations", GASTOWN_LEASE_SECONDS="30"),
    ):
        backup = place.workers.ask("request", town=other, kind="backup")
        until(lambda: not place.workers.ask("is_open", operation=backup), "the other one works")
        assert place.workers.ask("show", town=harmed)["status"] == "stopping"
        kill()
        began = time.monotonic()
        until(lambda: place.workers.ask("show", town=harmed)["status"] == "stopped", "it stopped")
        took = time.monotonic() - began
    print(f"taken over and finished {took:.0f} s after the kill")
    assert 1 < took < 60
    assert_nothing_left(place, harmed)
