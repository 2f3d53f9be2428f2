"""A flow that fails, or is called off, cleans up after itself although its workers are killed."""

import pytest

from tests.e2e.crash_place import End, Pair, Place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_a_restore_that_fails_is_undone(place: Place, towns: Pair) -> None:
    place.do(towns, "destroy")
    for town in place.ask(towns, "restore"):
        place.bring(town, to="await_healthy")
        place.ops.cloud.ctl.refuse(place.machine(town))
        place.workers.ask("let_time_run_out", town=town)
    statuses = [["destroyed", "restoring"], ["restoring", "destroyed"]]
    place.survives("restore", towns, End("failed", statuses))
    place.do(towns, "restore")
    place.has_its_work(towns[1])


def test_a_drill_that_fails_leaves_nothing(place: Place, towns: Pair) -> None:
    place.do(towns, "backup")
    for town in place.ask(towns, "drill"):
        place.bring(town, to="await_restored")
        place.workers.ask("let_time_run_out", town=town)
    place.survives("drill", towns, End("failed", []))
    drill = place.workers.ask("drill", town=towns[1])
    assert (drill["result"], drill["clean"]) == ("inconclusive", True)
    place.has_its_work(towns[1])


def test_a_destroy_that_is_called_off_brings_the_town_back(place: Place, towns: Pair) -> None:
    """It slept, and was only started for its last backup: so it sleeps again, and then starts."""
    place.do(towns, "stop")
    for town in towns:  # it ran since, so that its last backup has to be made anew
        run_behind_our_back(place, town)
    for town in place.ask(towns, "destroy"):
        place.bring(town, to="note_pointer")
        place.workers.ask("request", town=town, kind="restore")
    statuses = [["stopped", "destroying"], ["destroying", "stopped"]]
    place.survives("destroy", towns, End("failed", statuses))
    last = place.workers.ask("operations", town=towns[1])[-1]
    assert (last["kind"], last["state"]) == ("start", "succeeded")
    place.has_its_work(towns[1])


def run_behind_our_back(place: Place, town: str) -> None:
    """Have Fly start its machine and stop it again."""
    machine = f"machines/{place.machine(town)}"
    place.fly("POST", f"{machine}/start")
    place.comes_to(town, "started")
    place.fly("POST", f"{machine}/stop", {"signal": "SIGTERM", "timeout": "30s"})
    place.comes_to(town, "stopped")
