"""Stop (product.md 1.2 and 1.4): a person's and an idle one are one code path."""

from datetime import timedelta
from itertools import pairwise

import pytest

from tests.world import SHELL, Moment, World
from tests.world.asking import RULE, ask, ask_and_settle, causes, event, newest, state
from towns import history, interactions
from towns.models import Backup, LifecycleEvent, Town
from towns.services.errors import Misconfigured, Unavailable
from towns.sweeps.health import sweep_fleet
from towns.sweeps.idle import sweep_idle
from towns.words import InteractionKind, Status

pytestmark = pytest.mark.django_db


def idle_town(world: World) -> Town:
    town = world.running_town()
    world.grow_idle(town)
    return town


def stop_idle(world: World, town: Town) -> None:
    ask_and_settle(world, town, "stop", idle=True, actor=RULE)


def test_it_works(world: World) -> None:
    town = world.running_town()
    operation = ask_and_settle(world, town, "stop")
    assert state(town) == ("stopped", "stopped")
    assert operation.state == "succeeded"
    assert (town.stop_reason, town.awake_since) == ("person", None)
    assert world.machine(town).state == "stopped"
    assert world.volume(town).data is not None
    world.check()


def test_the_last_sync_comes_after_gt_down(world: World) -> None:
    town = world.running_town()
    began = len(world.record.log)
    ask_and_settle(world, town, "stop")
    assert [what for what in world.record.whats()[began:] if what != "pointer"] == [
        "snapshot",  # the one that was asked for
        "sigterm",
        "gt down",
        "snapshot",
        "stopped",
    ]
    assert "gt down" in world.snapshots(town)[0].data.marks


def test_it_notes_the_pointer_asks_for_a_sync_and_waits_before_it_stops(world: World) -> None:
    town = world.running_town()
    began = len(world.faults.calls)
    ask_and_settle(world, town, "stop")
    calls = world.faults.names()[began:]
    order = ["r2.read_pointer", "sandbox.request_sync", "r2.verify_latest", "fly.stop_machine"]
    assert [calls.index(name) for name in order] == sorted(calls.index(name) for name in order)


def test_it_is_stopped_only_when_fly_says_so(world: World) -> None:
    town = world.running_town()
    ask(world, town, "stop")
    while world.faults.count("fly.stop_machine") == 0:
        world.settle(1)
    assert state(town)[0] == "stopping"
    assert world.machine(town).state == "stopping"
    world.settle()
    assert state(town)[0] == "stopped"


def test_e2b_1104_an_idle_stop_keeps_what_a_persons_stop_keeps(world: World) -> None:
    """One code path for both: the same steps in the same order, and the same in the backup."""
    paths, kept = [], []
    for name, idle in (("by-hand", False), ("idle", True)):
        town = world.running_town(name)
        world.work(town, "last work")
        if idle:
            world.grow_idle(town)
        operation = ask_and_settle(world, town, "stop", idle=idle)
        assert state(town) == ("stopped", "stopped")
        paths.append([entry["step"] for entry in operation.log])
        kept.append(world.snapshots(town)[0].data.marks)
        assert town.last_snapshot == world.snapshots(town)[0].timestamp
    assert paths[0] == paths[1]
    assert kept[0] == kept[1] == ("first work", "last work", "gt down")


def test_the_snapshot_made_at_the_end_is_recorded(world: World) -> None:
    town = world.running_town()
    ask_and_settle(world, town, "stop")
    last = world.snapshots(town)[0]
    assert town.last_snapshot == last.timestamp
    assert town.last_backup_at == last.created_at
    assert Backup.objects.filter(town=town, snapshot=last.timestamp, kind="live").exists()
    assert event(town, "stop_done").data["snapshot"] == last.timestamp


def test_a_persons_stop_goes_on_without_a_sync_and_says_so(world: World) -> None:
    town = world.running_town()
    world.faults.r2_down = True
    operation = ask_and_settle(world, town, "stop")
    assert state(town) == ("stopped", "stopped")
    assert "R2 did not answer" in operation.learned["sync_failed"]
    assert "volume stays" in event(town, "backup_failed").reason
    assert causes(town) == {"backup_failed"}
    assert world.marks(town)[-1] == "gt down"


def test_gitpod_1270_an_idle_stop_without_a_good_sync_is_called_off(world: World) -> None:
    town = idle_town(world)
    world.faults.r2_down = True
    stop_idle(world, town)
    assert state(town) == ("running", "running")
    assert (town.stop_reason, town.idle_sync_failures) == ("", 1)
    assert event(town, "stop_called_off").automatic
    assert world.faults.count("fly.stop_machine") == 0
    assert causes(town) == set()


def test_a_snapshot_that_never_comes_is_a_failed_sync(world: World) -> None:
    town = idle_town(world)
    world.process(town).generation = 0  # the sandbox is fenced off: it moves no pointer
    stop_idle(world, town)
    assert state(town) == ("running", "running")
    assert "no newer snapshot came" in event(town, "stop_called_off").reason


def test_an_incomplete_snapshot_is_a_failed_sync(world: World) -> None:
    town = idle_town(world)
    ask(world, town, "stop", idle=True)
    world.drive()
    world.advance(world.pace.sync)
    world.snapshots(town)[0].missing_file = True
    world.process(town).generation = 0  # and no later one comes
    world.settle(170)
    assert state(town)[0] == "stopping"
    world.settle()
    assert state(town)[0] == "running"
    assert "config.tar is missing" in event(town, "stop_called_off").reason


def test_gitpod_4602_the_third_failed_sync_in_a_row_alerts(world: World) -> None:
    town = idle_town(world)
    world.faults.r2_down = True
    for round_number in (1, 2, 3):
        stop_idle(world, town)
        assert town.idle_sync_failures == round_number
        assert causes(town) == ({"idle_backup_failed"} if round_number == 3 else set())
    world.faults.clear()
    stop_idle(world, town)
    assert state(town)[0] == "stopped"
    assert town.idle_sync_failures == 0
    assert causes(town) == set()


@pytest.mark.parametrize("work", ["polecats_active", "merge_queue"])
def test_jupyterhub_1498_work_at_the_second_look_calls_it_off(world: World, work: str) -> None:
    town = idle_town(world)
    setattr(world.process(town), work, 1)
    stop_idle(world, town)
    assert state(town) == ("running", "running")
    assert "second look" in event(town, "stop_called_off").reason
    assert causes(town) == set()
    assert world.faults.count("fly.stop_machine") == 0


@pytest.mark.parametrize("unknown", ["silent", "no polecat count"])
def test_coder_15515_unknown_at_the_second_look_is_not_idle(world: World, unknown: str) -> None:
    town = idle_town(world)
    if unknown == "silent":
        world.faults.fail("sandbox.probe", Unavailable("time-out"), times=None)
    else:
        world.process(town).polecats_active = None
    stop_idle(world, town)
    assert state(town) == ("running", "running")
    assert event(town, "stop_called_off").data["second_look"] == ["unknown_health"]


def test_daytona_5154_what_is_only_buffered_counts(world: World) -> None:
    """A visit that was not written, as one was written just before it, is not forgotten: neither
    by the sweep nor at the second look."""
    town = world.running_town()
    for seconds in (0, 29):
        world.advance(seconds)
        interactions.visit(town, actor=SHELL, kind=InteractionKind.VISIT, now=world.now)
    last = world.now
    town.refresh_from_db()
    assert town.last_interaction_at == last - timedelta(seconds=29)
    world.advance(town.idle_timeout_minutes * 60 - 10)
    sweep_health(world)
    assert sweep_idle(world.services, slot=world.now).stopped == 0
    ask(world, town, "stop", idle=True)
    world.settle()
    assert event(town, "stop_called_off").data["second_look"] == ["interaction"]
    world.advance(60)
    sweep_health(world)
    assert sweep_idle(world.services, slot=world.now).stopped == 1


def sweep_health(world: World) -> None:
    sweep_fleet(world.now, world.services)


def test_daytona_5154_an_interaction_in_between_calls_it_off(world: World) -> None:
    town = idle_town(world)
    ask(world, town, "stop", idle=True)
    world.drive()
    Town.objects.filter(pk=town.pk).update(last_interaction_at=world.now)
    world.settle()
    assert state(town) == ("running", "running")
    assert event(town, "stop_called_off").data["second_look"] == ["interaction"]


def test_an_open_connection_in_between_calls_it_off(world: World) -> None:
    town = idle_town(world)
    Town.objects.filter(pk=town.pk).update(
        websocket_seen_at=world.now, websocket_message_at=world.now - timedelta(hours=1)
    )
    stop_idle(world, town)
    assert event(town, "stop_called_off").data["second_look"] == ["connection"]


def test_a_person_stops_a_town_that_works(world: World) -> None:
    town = world.running_town()
    world.process(town).polecats_active = 3
    ask_and_settle(world, town, "stop")
    assert state(town) == ("stopped", "stopped")


def test_a_start_before_the_machine_is_told_calls_it_off(world: World) -> None:
    town = world.running_town()
    ask(world, town, "stop")
    world.drive()
    ask(world, town, "start")
    world.settle()
    assert state(town) == ("running", "running")
    assert newest(town).kind == "stop"
    assert event(town, "stop_called_off").reason.startswith("Somebody wants it to run")
    assert world.faults.count("fly.stop_machine") == 0


def test_a_start_that_calls_off_the_stop_of_a_town_in_error_starts_it(world: World) -> None:
    town = world.running_town()
    history.change_status(
        town, Status.ERROR, kind="test", actor=RULE, now=world.now, reason="for a test"
    )
    ask(world, town, "stop")
    ask(world, town, "start")
    world.settle()
    assert newest(town, "stop").state == "failed", "it was called off"
    assert newest(town).kind == "start"
    assert state(town) == ("running", "running")


def test_a_start_once_it_is_stopping_starts_it_again_as_soon_as_it_has_stopped(
    world: World,
) -> None:
    town = idle_town(world)
    ask(world, town, "stop", idle=True)
    while world.faults.count("fly.stop_machine") == 0:
        world.settle(1)
    requested = ask(world, town, "start")
    assert requested.note == "It starts again as soon as it has stopped."
    world.settle()
    assert state(town) == ("running", "running")
    assert [one.kind for one in town.operations.order_by("created_at")] == [
        "provision",
        "stop",
        "start",
    ]
    assert world.record.count("stopped") == 1


def test_a_person_takes_an_idle_stop_over(world: World) -> None:
    town = idle_town(world)
    ask(world, town, "stop", idle=True)
    ask(world, town, "stop")
    world.process(town).polecats_active = 1
    world.settle()
    assert state(town) == ("stopped", "stopped")
    assert town.stop_reason == "person"


def test_a_persons_stop_is_not_lost_when_the_idle_stop_is_called_off_at_that_moment(
    world: World,
) -> None:
    town = idle_town(world)
    world.process(town).polecats_active = 1
    ask(world, town, "stop", idle=True)

    def ask_in_between(call: object, moment: Moment) -> None:
        if world.faults.names()[-1] == "sandbox.probe" and moment == Moment.AFTER:
            world.faults.hooks.clear()
            ask(world, town, "stop")

    world.faults.hooks.append(ask_in_between)
    world.settle()
    assert state(town) == ("stopped", "stopped")
    assert town.stop_reason == "person"


def test_404_is_not_stopped(world: World) -> None:
    town = world.running_town()
    world.lose_machine(town)
    ask_and_settle(world, town, "stop")
    assert state(town) == ("error", "stopped")
    assert "can't be stopped" in town.status_reason
    assert "stop_failed" in causes(town)


def test_404_during_a_stop_is_recovered_at_the_next_start(world: World) -> None:
    town = world.running_town()
    ask(world, town, "stop")
    while world.faults.count("fly.stop_machine") == 0:
        world.settle(1)
    world.lose_machine(town)
    world.settle()
    assert state(town)[0] == "error"
    ask_and_settle(world, town, "start")
    assert state(town) == ("running", "running")
    assert newest(town).kind == "recover"
    assert "first work" in world.marks(town)
    assert causes(town) == set()


def test_an_unknown_app_is_not_a_lost_machine(world: World) -> None:
    town = world.running_town()
    world.faults.fail("fly.*", Misconfigured("no such app"), times=None)
    ask_and_settle(world, town, "stop")
    assert state(town)[0] == "running"
    assert "no such app" in event(town, "stop_failed").reason


def test_a_stop_that_fly_never_does_ends_with_the_status_before(world: World) -> None:
    town = world.running_town()
    world.faults.fail("fly.stop_machine", Unavailable("HTTP 502"), times=None)
    ask_and_settle(world, town, "stop")
    assert state(town) == ("running", "running")
    assert causes(town) == {"stop_failed"}
    assert "HTTP 502" in event(town, "stop_failed").reason


def test_a_stop_that_fly_forgot_is_asked_for_again(world: World) -> None:
    town = world.running_town()
    stopping = world.fly.stop_machine
    forgotten: list[str] = []

    def forget_once(machine_id: str, **more: object) -> None:
        if not forgotten:
            forgotten.append(machine_id)
            return
        stopping(machine_id)

    world.fly.stop_machine = forget_once  # type: ignore[method-assign]  # Fly loses the request
    ask_and_settle(world, town, "stop")
    assert state(town)[0] == "stopped"


def test_a_stopped_town_holds_no_failures(world: World) -> None:
    town = world.running_town()
    Town.objects.filter(pk=town.pk).update(consecutive_failures=2, episode_since=world.now)
    ask_and_settle(world, town, "stop")
    assert (town.consecutive_failures, town.episode_since) == (0, None)


def test_every_change_of_status_has_its_event(world: World) -> None:
    town = world.running_town()
    ask_and_settle(world, town, "stop")
    ask_and_settle(world, town, "start")
    statuses = list(
        LifecycleEvent.objects.filter(town=town, to_status__gt="")
        .order_by("id")
        .values_list("from_status", "to_status")
    )
    for (_, before), (after, _) in pairwise(statuses):
        assert before == after
    assert statuses[-1][1] == "running"
