"""Every flow survives `kill -9` of its worker before and after every request that it makes.

Each flow is run once unharmed, which tells the requests that it makes; and beside it on another
town by workers of which each is killed at the first point that none before it died at, so that
every next one takes over what is half done. What counts as a point: `points.py`. What must come of
it: `crash_place.py`. The ways of a flow that fails or is called off: `test_crash_points_undone.py`.

A run takes a slice of the points; `make crash-points` takes all of them.
"""

import time

import pytest

from tests.e2e.crash_place import STATUSES, End, Pair, Place
from tests.e2e.installation import until
from tests.e2e.points import AFTER, Point
from towns.words import OperationKind

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
STOP = "POST /v1/apps/towns/machines/{machine}/stop"


def test_no_flow_is_left_out() -> None:
    assert set(STATUSES) == set(OperationKind)


def test_provision(place: Place) -> None:
    place.survives("provision", (place.new_town(), place.new_town()))


def test_stop_and_start(place: Place, towns: Pair) -> None:
    place.survives("stop", place.ask(towns, "stop"))
    before = place.starts(towns[1])
    place.survives("start", place.ask(towns, "start"))
    assert place.starts(towns[1]) == before + 1
    place.has_its_work(towns[1])


def test_start_where_the_machine_falls_over(place: Place, towns: Pair) -> None:
    place.do(towns, "stop")
    for town in place.ask(towns, "start"):
        place.bring(town, to="await_started")
        place.comes_to(town, "started")
        place.ops.cloud.ctl.kill(place.machine(town), down=True)
        place.comes_to(town, "stopped")
    before = place.starts(towns[1])
    place.survives("start", towns)
    assert place.starts(towns[1]) == before + 1
    place.has_its_work(towns[1])


def test_idle_stop(place: Place, towns: Pair) -> None:
    for town in towns:
        place.workers.ask("make_idle", town=town)
    place.survives("stop", place.ask(towns, "stop", idle=True))
    place.do(towns, "start")
    place.has_its_work(towns[1])


def test_restart(place: Place, towns: Pair) -> None:
    before = place.starts(towns[1])
    place.survives("restart", place.ask(towns, "restart"))
    assert place.starts(towns[1]) == before + 1, "it was restarted once"
    place.has_its_work(towns[1])


def test_backup(place: Place, towns: Pair) -> None:
    before = place.workers.ask("pointer", town=towns[1])
    place.survives("backup", place.ask(towns, "backup"))
    assert place.workers.ask("pointer", town=towns[1]) > before
    place.has_its_work(towns[1])


def test_drill(place: Place, towns: Pair) -> None:
    place.do(towns, "backup")
    before = place.workers.ask("show", town=towns[1])
    place.survives("drill", place.ask(towns, "drill"))
    assert place.workers.ask("show", town=towns[1]) == before, "it goes on beside the town"
    assert place.workers.ask("drill", town=towns[1])["result"] == "ok"
    place.has_its_work(towns[1])


def test_recover_where_the_machine_is_gone(place: Place, towns: Pair) -> None:
    volume = place.volume(towns[1])
    place.do(towns, "stop")
    for town in towns:
        place.ops.cloud.ctl.destroy(place.machine(town))
    place.survives("recover", place.ask(towns, "recover"))
    assert place.volume(towns[1]) == volume
    place.has_its_work(towns[1])


def test_recover_where_the_volume_is_lost(place: Place, towns: Pair) -> None:
    place.do(towns, "stop")
    for town in towns:
        place.ops.cloud.ctl.lose_volume(place.volume(town))
    place.survives("recover", place.ask(towns, "recover"))
    place.has_its_work(towns[1])


def test_recover_where_the_volume_is_given_up(place: Place, towns: Pair) -> None:
    place.do(towns, "stop")
    old = place.volume(towns[0]), place.volume(towns[1])
    asked = place.ask(towns, "recover", from_backup=True)
    place.survives("recover", asked, End(left=old))
    assert place.volume(towns[1]) not in old
    place.has_its_work(towns[1])
    for volume in old:
        place.fly("DELETE", f"volumes/{volume}")  # as staff would


def test_destroy_and_restore(place: Place, towns: Pair) -> None:
    place.survives("destroy", place.ask(towns, "destroy"))
    assert place.ops.machines_of(towns[1]) == []
    place.survives("restore", place.ask(towns, "restore"))
    place.has_its_work(towns[1])


def test_destroy_with_discard(place: Place, towns: Pair) -> None:
    place.survives("destroy", place.ask(towns, "destroy", discard=True))


def test_another_worker_finishes_within_a_minute(place: Place, towns: Pair) -> None:
    """With the default lease, of 30 s, and by a worker of its own that was running already."""
    harmed, other = towns
    place.workers.ask("request", town=harmed, kind="stop")
    with (
        place.workers.held(harmed, Point("stop_machine", STOP, 1, AFTER), lease=30) as kill,
        place.ops.started("run_operations", GASTOWN_LEASE_SECONDS="30"),
    ):
        backup = place.workers.ask("request", town=other, kind="backup")
        until(lambda: not place.workers.ask("is_open", operation=backup), "the other one works")
        assert place.status(harmed) == "stopping"
        kill()
        began = time.monotonic()
        until(lambda: place.status(harmed) == "stopped", "it stopped")
        took = time.monotonic() - began
    print(f"taken over and finished {took:.0f} s after the kill")
    assert 1 < took < 60
    place.assert_nothing_left(harmed)
