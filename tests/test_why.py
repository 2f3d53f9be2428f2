"""`why`: what it tells of each status, in text, JSON, command, API and admin."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.admin.conftest import page
from tests.api.conftest import JsonClient
from tests.commands.conftest import Call, call, world
from tests.factories import NOW, make_operation, make_town, make_user
from tests.world import World
from tests.world.asking import RULE, ask
from towns import actions, alerts, automation
from towns.history import Actor
from towns.models import Breaker, LifecycleEvent, Operation, Sweep, Town
from towns.why import Answer, why
from towns.words import DesiredState, OperationKind, OperationState, Status

pytestmark = pytest.mark.django_db
__all__ = ["call", "world"]  # fixtures
ANN = Actor("ann")
MINUTE = timedelta(minutes=1)


def known(**fields: Any) -> Town:
    """A town that is well and was used ten minutes ago; the slot of `NOW` was swept."""
    for kind in (Sweep.Kind.HEALTH, Sweep.Kind.IDLE):
        Sweep.objects.get_or_create(kind=kind, slot=NOW, started_at=NOW, finished_at=NOW)
    values: dict[str, Any] = {
        "last_interaction_at": NOW - 10 * MINUTE,
        "last_interaction_kind": "visit",
        "awake_since": NOW - 100 * MINUTE,
        "last_checked_at": NOW,
        "last_result": "ok",
        "health": {"polecats_active": 0},
    }
    return make_town(**{**values, **fields})


def told(town: Town, **later: float) -> Answer:
    return why(town, NOW + timedelta(**later))


def nexts(answer: Answer) -> dict[str, Any]:
    return {one.what: one.at for one in answer.next}


def test_it_works() -> None:
    answer = told(known(), seconds=1)
    assert nexts(answer) == {
        "health_check": NOW + 3 * MINUTE,
        "idle_stop": NOW + 21 * MINUTE,
    }
    [visit] = answer.held
    assert (visit.cause, visit.until) == ("interaction", NOW + 20.5 * MINUTE)
    text = "\n".join(answer.lines(NOW))
    assert "2026-02-17 12:03:00 UTC (in 3 min): The next health check." in text
    assert "its owner's last visit (idle timeout 30 min), until 2026-02-17 12:20:30 UTC" in text


@pytest.mark.parametrize("status", list(Status), ids=str)
def test_every_status_has_an_answer(status: Status) -> None:
    gone = {"destroyed_at": NOW} if status in (Status.DESTROYED, Status.RESTORING) else {}
    town = known(status=status, **gone)
    answer = told(town)
    assert answer.status == status
    assert answer.next, "something is next, even if it is nothing"
    assert answer.lines(NOW)
    kinds = {
        Status.PROVISIONING: OperationKind.PROVISION,
        Status.STARTING: OperationKind.START,
        Status.RESTARTING: OperationKind.RESTART,
        Status.RECOVERING: OperationKind.RECOVER,
        Status.STOPPING: OperationKind.STOP,
        Status.DESTROYING: OperationKind.DESTROY,
        Status.RESTORING: OperationKind.RESTORE,
    }
    if status in kinds:
        assert any("no operation is under way" in one.text for one in answer.next)
        assert any(one.startswith("destroy") for one in answer.to_do) or status in (
            Status.DESTROYING,
        )
        make_operation(town, kinds[status], deadline_at=NOW + MINUTE)
        assert "deadline" in nexts(told(town))


def test_the_status_event_is_told_with_its_inputs(world: World) -> None:
    town = world.stopped_town(idle=True)
    answer = why(town, world.now)
    assert answer.rule is not None
    assert answer.rule.kind == "stop_done"
    assert answer.since == town.status_since
    assert answer.expected("wake") is not None
    assert "it was stopped for being idle" in answer.notes


def test_a_persons_stop_stays_so(world: World) -> None:
    answer = why(world.stopped_town(), world.now)
    stay = answer.expected("stay")
    assert stay is not None
    assert stay.text == "It stays stopped until somebody starts it."


def test_strikes_and_the_restart_are_told_ahead() -> None:
    town = known(
        consecutive_failures=1,
        episode_since=NOW,
        last_result="failed",
        failure_reason="no answer in 5 s",
    )
    answer = told(town, seconds=1)
    assert nexts(answer) == {
        "health_check": NOW + 3 * MINUTE,
        "unhealthy": NOW + 6 * MINUTE,
        "restart": NOW + 6 * MINUTE,
        "idle_stop": None,
    }
    assert answer.notes == (
        "1 checks in a row failed since 2026-02-17 12:00:00 UTC: no answer in 5 s",
    )


def unhealthy(**fields: Any) -> Town:
    values = {"status": Status.UNHEALTHY, "consecutive_failures": 3, "episode_since": NOW}
    return known(**{**values, "last_result": "failed", **fields})


def past(town: Town, *minutes_ago: int) -> None:
    for minutes in minutes_ago:
        make_operation(
            town,
            OperationKind.RESTART,
            state=OperationState.SUCCEEDED,
            automatic=True,
            created_at=NOW - minutes * MINUTE,
        )


def test_used_up_restarts_are_told() -> None:
    town = unhealthy()
    past(town, 4, 11, 20)
    answer = told(town, seconds=1)
    error = answer.expected("error")
    assert error is not None
    assert (error.at, "3 automatic restarts within 30 min" in error.text) == (
        NOW + 3 * MINUTE,
        True,
    )
    assert any("3 of 3 automatic restarts" in note for note in answer.notes)
    assert any("--clear-restarts" in one for one in answer.to_do)


def test_a_restart_that_leaves_the_window_in_time_does_not_count() -> None:
    """The verdict is that of the time of the sweep, not of now."""
    town = unhealthy()
    past(town, 15, 20, 28)
    assert told(town, seconds=1).expected("restart") is not None


def test_a_hold_with_an_end_only_puts_it_off() -> None:
    town = unhealthy(hold_reason="I look at it", hold_until=NOW + 10 * MINUTE)
    answer = told(town, seconds=1)
    assert answer.held[0].cause == "hold"
    assert {k: v for k, v in nexts(answer).items() if k != "health_check"} == {
        "not_restarted": NOW + 3 * MINUTE,
        "restart": NOW + 12 * MINUTE,
        "hold_ends": NOW + 10 * MINUTE,
    }


def test_an_open_breaker_has_no_known_end() -> None:
    Breaker.objects.create(scope="region:iad", state="open", reason="61 % fail", opened_at=NOW)
    answer = told(unhealthy(), seconds=1)
    assert answer.expected("restart") is None
    assert [(one.cause, one.until) for one in answer.held] == [("breaker", None)]
    assert any("automation status" in one for one in answer.to_do)


def test_freezes_and_windows_are_told_with_their_ends() -> None:
    town = known()
    automation.freeze("all", reason="x", actor=ANN, now=NOW, until=NOW + 30 * MINUTE)
    automation.plan_window(
        f"town:{town.pk}",
        since=NOW + 25 * MINUTE,
        until=NOW + 50 * MINUTE,
        reason="upgrade",
        actor=ANN,
        now=NOW,
    )
    answer = told(town, seconds=1)
    assert nexts(answer) == {
        "health_check": NOW + 3 * MINUTE,
        "not_stopped": NOW + 21 * MINUTE,
        "maintenance": NOW + 25 * MINUTE,
        "freeze_ends": NOW + 30 * MINUTE,
        "idle_stop": NOW + 51 * MINUTE,
    }
    assert [one.cause for one in answer.held] == ["interaction", "freeze"]


def test_a_recovery_freeze_is_told_to_whom_it_concerns() -> None:
    automation.freeze("recovery", reason="many gone", actor=ANN, now=NOW)
    assert "recovery_freeze" not in [one.cause for one in told(known()).held]
    assert "recovery_freeze" in [one.cause for one in told(unhealthy()).held]


def test_an_operation_tells_its_step_its_deadline_and_what_follows(world: World) -> None:
    town = world.running_town()
    ask(world, town, "stop")
    town.refresh_from_db()
    answer = why(town, world.now)
    deadline = answer.expected("deadline")
    assert deadline is not None
    assert deadline.at == Operation.objects.get(kind="stop").deadline_at
    assert "Fly is asked" in deadline.text
    assert "else it has failed: running" in deadline.text
    assert "stop is under way, asked for by shell" in answer.notes
    ask(world, town, "start")
    town.refresh_from_db()
    follow = why(town, world.now).expected("follow")
    assert follow is not None
    assert follow.text == "Then follows start: it is wanted running."


def test_a_worker_that_is_at_it_may_be_followed_by_another() -> None:
    town = known(status=Status.STARTING)
    lease = NOW + timedelta(seconds=20)
    make_operation(town, OperationKind.START, lease_until=lease, lease_owner="w")
    assert nexts(told(town))["takeover"] == lease


def test_a_destroy_has_no_deadline_but_its_next_try() -> None:
    town = known(status=Status.DESTROYING, desired_state=DesiredState.DESTROYED)
    due = NOW + 15 * MINUTE
    make_operation(town, OperationKind.DESTROY, attempt=3, due_at=due, message="Fly: 503")
    answer = told(town)
    assert nexts(answer)["retry"] == due
    deadline = answer.expected("deadline")
    assert deadline is not None
    assert deadline.text.startswith("It has none: after failed tries it waits 1 min, 5 min")
    assert "staff are told after 10" in deadline.text


def test_a_held_recovery_says_why_it_waits(world: World) -> None:
    town = world.running_town()
    world.lose_machine(town)
    automation.freeze("all", reason="Fly has an incident", actor=ANN, now=world.now)
    ask(world, town, "restart", actor=RULE)
    world.settle(60)
    town.refresh_from_db()
    answer = why(town, world.now)
    assert town.status == Status.RECOVERING
    assert any("Fly has an incident" in note for note in answer.notes)
    assert answer.expected("deadline") is not None
    assert any("automation thaw" in one for one in answer.to_do)


def test_error_tells_what_to_do(world: World) -> None:
    town = world.stopped_town()
    world.volume(town).has_room = False
    ask(world, town, "start")
    world.settle()
    town.refresh_from_db()
    answer = why(town, world.now)
    assert town.status == Status.ERROR
    alert = town.alerts.get(resolved_at=None)
    assert alert.message in answer.to_do
    starts = {one.split(":")[0] for one in answer.to_do}
    assert {"start", "restart", "recover", "destroy"} <= starts


def test_a_destroyed_town_tells_until_when_it_can_be_restored() -> None:
    town = known(status=Status.DESTROYED, destroyed_at=NOW - timedelta(days=20))
    answer = told(town)
    assert nexts(answer) == {"backup_expires": NOW + timedelta(days=10)}
    assert [one.split(":")[0] for one in answer.to_do] == ["restore"]
    make_town(owner=town.owner, name=town.name)
    assert told(town).to_do == (), "its name is taken"
    late = told(town, days=11)
    assert late.next[0].text == "Nothing: its backup expired on 2026-02-27 12:00:00 UTC."


def test_flapping_is_told() -> None:
    town = known(
        flapping_since=NOW - 20 * MINUTE,
        flap_count=5,
        consecutive_failures=1,
        episode_since=NOW,
        episode_ended_at=NOW - 6 * MINUTE,
        last_result="failed",
    )
    answer = told(town)
    assert "it flaps since 2026-02-17 11:40:00 UTC: 5 episodes in a row" in answer.notes
    assert nexts(answer)["flapping_over"] == NOW + 24 * MINUTE


def test_a_watch_that_stands_still_is_told() -> None:
    answer = told(known(), minutes=20)
    assert any("is a cluster running?" in note for note in answer.notes)


def test_asking_changes_nothing_and_costs_a_fixed_number_of_statements() -> None:
    town = unhealthy(episode_since=NOW)
    alerts.open_alert(cause="x", town=town, severity="warning", message="Hm.", now=NOW)

    def cost() -> int:
        fresh = Town.objects.select_related("owner").get(pk=town.pk)
        with CaptureQueriesContext(connection) as captured:
            told(fresh)
        written = [q for q in captured.captured_queries if not q["sql"].startswith("SELECT")]
        assert not written
        return len(captured)

    few = cost()
    for number in range(5):
        other = unhealthy(episode_since=NOW - number * MINUTE)
        past(other, 5, 8)
        past(town, 40 + number)
    assert cost() == few
    assert not LifecycleEvent.objects.exists()


def test_the_command(call: Call, world: World) -> None:
    town = world.running_town("mill")
    lines = call("town", "why", "ada/mill").out
    assert lines.startswith(f"town         ada/mill  ({town.pk})\nis           running since")
    found = call("town", "why", "mill", "--json").json
    assert found["rule"]["kind"] == "provision_done"
    assert [one["what"] for one in found["next"]][-1] in ("idle_stop", "health_check")
    assert call("town", "why", "nobody").code == 2


def test_the_api(client: JsonClient, owner: User) -> None:
    town = make_town(owner=owner)
    before = town.last_interaction_at
    found = client.get(f"/api/v1/towns/{town.pk}/why?peek=1").json()
    assert (found["id"], found["status"]) == (str(town.pk), "running")
    town.refresh_from_db()
    assert town.last_interaction_at == before
    client.get(f"/api/v1/towns/{town.pk}/why")
    town.refresh_from_db()
    assert town.last_interaction_at != before, "the owner's call is an interaction"


def test_the_api_tells_strangers_nothing() -> None:
    stranger = JsonClient()
    stranger.force_login(make_user())
    assert stranger.get(f"/api/v1/towns/{make_town().pk}/why").status_code == 404


def test_the_admin() -> None:
    client = JsonClient()
    client.force_login(User.objects.create_superuser("root"))
    town = unhealthy(hold_reason="I look at it", last_checked_at=timezone.now())
    text = page(client, f"/admin/towns/town/{town.pk}/change/")
    assert "staff hold it: I look at it" in text
    assert f"manage.py town set {town} --release" in text


@pytest.fixture
def client(owner: User) -> JsonClient:
    """The owner's."""
    client = JsonClient()
    client.force_login(owner)
    return client


@pytest.fixture
def owner() -> User:
    """Owns towns."""
    return make_user("alice")


def test_a_person_takes_a_held_recovery_over(world: World) -> None:
    """A freeze holds rules back, not people."""
    town = world.running_town()
    world.lose_machine(town)
    automation.freeze("all", reason="Fly has an incident", actor=ANN, now=world.now)
    ask(world, town, "restart", actor=RULE)
    world.settle(60)
    requested = actions.request_recover(town.pk, actor=ANN, now=world.now)
    assert not requested.created
    world.settle(600)
    town.refresh_from_db()
    assert town.status == Status.RUNNING
    assert town.events.get(kind="taken_over").actor == "ann"
