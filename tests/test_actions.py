"""The one door: what each request answers, by the status and by the operation under way."""

import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import product

import pytest
from django.contrib.auth.models import User
from django.db import connections

from tests.world import SHELL, START, World
from tests.world.asking import RULE, ask, event, newest, state
from towns import actions, history, interactions
from towns.actions import NotAllowed, Requested
from towns.models import LifecycleEvent, Operation, Town
from towns.words import InteractionKind, OperationKind, OperationState, Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World()


ALLOWED: dict[str, set[str]] = {
    "start": {"stopped", "error"},
    "stop": {"running", "unhealthy", "error"},
    "restart": {"running", "unhealthy", "error"},
    "recover": {"unhealthy", "error", "stopped"},
    "destroy": {status.value for status in Status} - {"destroying", "destroyed"},
    "restore": {"destroyed"},
    "backup": {"running"},
    "drill": {"running", "unhealthy", "stopped", "error"},
}
"""The status table of product.md, section 3, once more and by hand."""

DURING = {
    "start": "starting",
    "stop": "stopping",
    "restart": "restarting",
    "recover": "recovering",
    "destroy": "destroying",
    "restore": "restoring",
    "backup": "running",
}

NEW, SAME, FOLLOWS, REFUSED = "new", "same", "follows", "refused"

UNDER_WAY: dict[str, dict[str, str]] = {
    "provision": {"start": FOLLOWS, "stop": FOLLOWS, "destroy": FOLLOWS},
    "start": {"start": SAME, "stop": FOLLOWS, "destroy": FOLLOWS},
    "stop": {"start": FOLLOWS, "stop": FOLLOWS, "destroy": FOLLOWS},
    "restart": {"start": FOLLOWS, "stop": FOLLOWS, "restart": SAME, "destroy": FOLLOWS},
    "recover": {"start": FOLLOWS, "stop": FOLLOWS, "recover": SAME, "destroy": FOLLOWS},
    "destroy": {"start": FOLLOWS, "restore": FOLLOWS},
    "restore": {"start": FOLLOWS, "destroy": FOLLOWS, "restore": SAME},
    "backup": {"stop": FOLLOWS, "backup": SAME, "destroy": FOLLOWS},
    "drill": {"stop": NEW, "restart": NEW, "recover": NEW, "destroy": NEW, "drill": SAME},
}
"""Operation under way, request, answer; what isn't there is refused."""


def town_in(status: str, name: str = "alpha") -> Town:
    """A town that rests in a status, with nothing under way."""
    owner, _ = User.objects.get_or_create(username="ada")
    town = Town.objects.create(
        owner=owner,
        name=name,
        region="ams",
        created_at=START,
        status_since=START,
        last_snapshot="20260217T110000Z",
    )
    if status in ("destroyed", "restoring"):
        Town.objects.filter(pk=town.pk).update(destroyed_at=START)
        town.refresh_from_db()
    if status != town.status:
        to = Status(status)
        history.change_status(town, to, kind="test", actor=SHELL, now=START, reason="for a test")
    return town


def town_with(kind: str, world: World) -> Town:
    """A town with an operation of that kind under way."""
    if kind == "provision":
        return world.create_town()
    town = town_in(sorted(ALLOWED[kind])[-1] if kind != "destroy" else "running")
    assert ask(world, town, kind).created
    return town


def answer(request: Callable[[], Requested], town: Town) -> str:
    """How a request is answered."""
    wanted = LifecycleEvent.objects.filter(town=town, kind="wanted").count()
    try:
        requested = request()
    except NotAllowed as error:
        return REFUSED if str(town) in error.reason else f"not naming the town: {error}"
    if requested.created:
        return NEW
    now_wanted = LifecycleEvent.objects.filter(town=town, kind="wanted").count()
    return FOLLOWS if now_wanted > wanted else SAME


def test_it_works(world: World) -> None:
    town = town_in("stopped")
    requested = actions.request_start(town.pk, actor=SHELL, now=world.now, reason="it is Monday")
    assert requested.created
    operation = requested.operation
    assert (operation.kind, operation.state, operation.step) == ("start", "open", "look_at_machine")
    assert (operation.actor, operation.reason) == ("shell", "it is Monday")
    assert (operation.status_before, operation.due_at) == ("stopped", world.now)
    assert state(town) == ("starting", "running")


@pytest.mark.parametrize(("kind", "status"), list(product(ALLOWED, sorted(Status))))
def test_by_status(kind: str, status: str, world: World) -> None:
    town = town_in(status)
    expected = NEW if status in ALLOWED[kind] else REFUSED
    assert answer(lambda: ask(world, town, kind), town) == expected
    town.refresh_from_db()
    assert town.status == (DURING.get(kind, status) if expected == NEW else status)
    opened = Operation.objects.filter(town=town, state=OperationState.OPEN).count()
    assert opened == (expected == NEW)


@pytest.mark.parametrize(("under_way", "kind"), list(product(UNDER_WAY, ALLOWED)))
def test_by_the_operation_under_way(under_way: str, kind: str, world: World) -> None:
    town = town_with(under_way, world)
    before = town.operations.get()
    status = state(town)[0]
    expected = UNDER_WAY[under_way].get(kind, REFUSED)
    assert answer(lambda: ask(world, town, kind), town) == expected
    under_way_now = town.operations.filter(state=OperationState.OPEN)
    if expected == NEW:  # what runs beside the town is called off
        assert under_way_now.get().kind == kind
        assert town.operations.get(kind=under_way).state == "superseded"
        return
    assert under_way_now.get() == before, "one operation per town at most"
    assert state(town)[0] == status


@pytest.mark.parametrize("under_way", [kind for kind in UNDER_WAY if kind != "drill"])
def test_an_idle_stop_begins_only_where_nothing_is_under_way(under_way: str, world: World) -> None:
    town = town_with(under_way, world)
    assert answer(lambda: ask(world, town, "stop", idle=True), town) == REFUSED


def test_every_kind_is_in_the_tables() -> None:
    assert set(UNDER_WAY) == set(OperationKind)
    assert set(ALLOWED) == set(OperationKind) - {"provision"}


def test_a_refusal_says_what_would_do(world: World) -> None:
    town = town_in("unhealthy")
    with pytest.raises(NotAllowed, match="unhealthy but started"):
        ask(world, town, "start")
    with pytest.raises(NotAllowed, match="is unhealthy; backup is possible from running"):
        ask(world, town, "backup")


def test_a_persons_start_counts_as_an_interaction(world: World) -> None:
    town = town_in("stopped")
    ask(world, town, "start")
    town.refresh_from_db()
    assert (town.last_interaction_at, town.last_interaction_kind) == (world.now, "start")


def test_coder_5003_an_automatic_stop_tells_its_rule_and_inputs(world: World) -> None:
    town = town_in("running")
    actions.request_stop(
        town.pk, actor=RULE, now=world.now, reason="idle for 30 min", idle=True, data={"idle": 30}
    )
    told = event(town, "stop")
    assert (told.actor, told.automatic, told.reason) == (RULE.name, True, "idle for 30 min")
    assert told.data == {"idle": 30}
    assert (told.from_status, told.to_status) == ("running", "stopping")


def test_what_is_wanted_follows_with_the_one_who_wanted_it(world: World) -> None:
    owner = User.objects.create(username="grace")
    town = world.running_town()
    ask(world, town, "restart", actor=RULE)
    ask(world, town, "stop", actor=history.Actor.person(owner), reason="going home")
    world.settle()
    stop = newest(town, "stop")
    assert (stop.actor, stop.user_id, stop.reason) == ("grace", owner.pk, "going home")
    assert not stop.automatic
    assert state(town) == ("stopped", "stopped")


def test_what_is_wanted_survives_that_a_recovery_takes_over(world: World) -> None:
    owner = User.objects.create(username="grace")
    town = world.stopped_town()
    world.lose_machine(town)
    ask(world, town, "start")
    ask(world, town, "stop", actor=history.Actor.person(owner), reason="going home")
    world.settle()
    assert newest(town, "recover").state == "succeeded"
    stop = newest(town, "stop")
    assert (stop.actor, stop.reason) == ("grace", "going home")
    assert state(town) == ("stopped", "stopped")


def test_the_last_wish_counts(world: World) -> None:
    town = world.running_town()
    ask(world, town, "backup")
    ask(world, town, "stop")
    ask(world, town, "start")
    world.settle()
    assert state(town) == ("running", "running")
    assert not town.operations.filter(kind="stop").exists()


@pytest.mark.parametrize("kind", ["restart", "recover", "restore"])
def test_the_last_wish_counts_also_where_it_is_under_way(kind: str, world: World) -> None:
    town = town_with(kind, world)
    other = "destroy" if kind == "restore" else "stop"
    ask(world, town, other)
    assert state(town)[1] != "running"
    assert answer(lambda: ask(world, town, kind), town) == FOLLOWS
    assert state(town)[1] == "running"
    ask(world, town, other)
    assert answer(lambda: ask(world, town, kind, actor=RULE), town) == SAME, "a rule has no wishes"


def test_destroy_supersedes_at_the_next_step(world: World) -> None:
    town = world.running_town()
    operation = ask(world, town, "backup").operation
    world.drive()
    ask(world, town, "destroy", reason="no longer needed")
    world.drive()
    operation.refresh_from_db()
    assert operation.state == "superseded"
    destroy = newest(town, "destroy")
    assert operation.successor == destroy
    assert destroy.reason == "no longer needed"
    assert state(town) == ("destroying", "destroyed")


def test_destroy_does_not_wait_for_the_next_try_of_what_it_supersedes(world: World) -> None:
    town = world.create_town()
    world.faults.fly_down = True
    world.settle(300)
    operation = town.operations.get()
    assert operation.due_at > world.now + timedelta(seconds=5)
    ask(world, town, "destroy")
    operation.refresh_from_db()
    assert operation.due_at == world.now


def test_discarding_follows_a_destroy_that_supersedes(world: World) -> None:
    town = world.running_town()
    world.allow_discard(town)
    ask(world, town, "restart")
    ask(world, town, "destroy", discard=True)
    world.settle()
    assert newest(town).params == {"discard": True}
    assert state(town)[0] == "destroyed"
    assert world.faults.count("sandbox.request_sync") == 0


def test_kilocode_6741_a_persons_stop_holds_until_asked(world: World) -> None:
    town = world.stopped_town()
    for _ in range(3):
        world.advance(3600)
        seen = interactions.visit(town, actor=SHELL, kind=InteractionKind.VISIT, now=world.now)
        assert seen is None
    world.settle()
    assert state(town) == ("stopped", "stopped")
    assert world.record.count("started") == 1


def test_a_person_who_stops_a_sleeping_town_keeps_it_from_waking(world: World) -> None:
    town = world.stopped_town(idle=True)
    requested = ask(world, town, "stop")
    assert not requested.created
    town.refresh_from_db()
    assert town.stop_reason == "person"
    assert event(town, "held_stopped").reason
    with pytest.raises(NotAllowed, match="stopped already"):
        ask(world, town, "stop")


def test_a_visit_to_a_town_that_sleeps_for_being_idle_wakes_it(world: World) -> None:
    town = world.stopped_town(idle=True)
    visit = {"actor": SHELL, "kind": InteractionKind.VISIT, "now": world.now}
    first = interactions.visit(town, **visit)  # type: ignore[arg-type]
    town.refresh_from_db()
    again = interactions.visit(town, **visit)  # type: ignore[arg-type]
    assert first is not None
    assert again is None
    world.settle()
    assert state(town) == ("running", "running")


def test_a_second_town_of_the_same_name_is_refused(world: World) -> None:
    world.create_town("alpha")
    with pytest.raises(NotAllowed, match="ada already has a town named alpha"):
        world.create_town("alpha")
    world.create_town("alpha", owner="grace")


def test_changing_a_setting_is_in_its_history(world: World) -> None:
    town = town_in("running")
    actions.change_town(
        town.pk, {"idle_timeout_minutes": 60, "auto_stop": True}, actor=SHELL, now=world.now
    )
    assert event(town, "changed").data == {"idle_timeout_minutes": {"from": 30, "to": 60}}


def test_changing_nothing_writes_nothing(world: World) -> None:
    town = town_in("running")
    actions.change_town(town.pk, {"auto_stop": True}, actor=SHELL, now=world.now)
    assert not LifecycleEvent.objects.filter(town=town, kind="changed").exists()


def at_once(request: Callable[[], object], times: int = 8) -> list[object]:
    """What so many callers get who ask at the same moment; NotAllowed is an answer too."""
    answers: list[object] = []
    gate = threading.Barrier(times)

    def call() -> None:
        gate.wait()
        try:
            answers.append(request())
        except NotAllowed as error:
            answers.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=call) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == times, "somebody got no answer"
    return answers


@pytest.mark.django_db(transaction=True)
def test_many_starts_at_once_make_one(world: World) -> None:
    town = town_in("stopped")
    answers = at_once(lambda: ask(world, town, "start"))
    assert Operation.objects.filter(town=town).count() == 1
    assert [one.created for one in answers if isinstance(one, Requested)].count(True) == 1
    assert all(isinstance(one, Requested) for one in answers)


@pytest.mark.django_db(transaction=True)
def test_many_visits_at_once_make_one_start(world: World) -> None:
    town = town_in("stopped")
    Town.objects.filter(pk=town.pk).update(stop_reason="idle", desired_state="stopped")

    def visit() -> object:
        mine = Town.objects.get(pk=town.pk)
        kind = InteractionKind.VISIT
        return interactions.visit(mine, actor=SHELL, kind=kind, now=world.now)

    at_once(visit)
    assert Operation.objects.filter(town=town).count() == 1
    assert state(town) == ("starting", "running")


@pytest.mark.django_db(transaction=True)
def test_different_requests_at_once_leave_one_operation(world: World) -> None:
    town = town_in("running")
    kinds = iter(["stop", "restart", "backup", "destroy"] * 2)
    lock = threading.Lock()

    def request() -> Requested:
        with lock:
            kind = next(kinds)
        return ask(world, town, kind)

    answers = at_once(request)
    assert Operation.objects.filter(town=town).count() == 1
    assert any(isinstance(one, Requested) and one.created for one in answers)


@pytest.mark.django_db(transaction=True)
def test_many_creations_at_once_make_one_town(world: World) -> None:
    User.objects.create(username="ada", email="ada@example.org")
    answers = at_once(lambda: world.create_town("alpha"))
    assert Town.objects.count() == 1
    assert sum(isinstance(one, NotAllowed) for one in answers) == 7


@pytest.mark.django_db(transaction=True)
def test_a_restore_and_a_creation_at_once_leave_one_living_town_of_the_name(world: World) -> None:
    town = town_in("destroyed")
    turns = iter([True, False] * 4)
    lock = threading.Lock()

    def request() -> object:
        with lock:
            restores = next(turns)
        if restores:
            return ask(world, town, "restore")
        owner = User.objects.get(username="ada")
        return actions.create_town(owner, "alpha", actor=SHELL, now=world.now, region="ams")

    at_once(request)
    living = Town.objects.exclude(status="destroyed")
    assert living.count() == 1
