"""Which towns are drilled, when, and that what drills leave over goes."""

from datetime import timedelta

import pytest
from django.test import override_settings

from tests.factories import make_drill
from tests.world import World
from tests.world.asking import ask, ask_and_settle
from towns import automation
from towns.automation import FLEET
from towns.history import Actor
from towns.models import Alert, Breaker, Drill, Operation, Town
from towns.sweeps.backups import sweep_backups
from towns.sweeps.drills import ACTOR, see_to_drills

pytestmark = pytest.mark.django_db
HOUR = 3600


@pytest.fixture
def world() -> World:
    return World()


def towns(world: World, *names: str) -> list[Town]:
    """Towns of whose backups we know."""
    found = [world.running_town(name) for name in names]
    sweep_backups(world.services, towns=found)
    return found


def sweep(world: World) -> list[str]:
    """A sweep; returns who is drilled now."""
    return see_to_drills(world.services).begun


def test_it_works(world: World) -> None:
    [town] = towns(world, "alpha")
    assert sweep(world) == [str(town)]
    operation = Operation.objects.get(kind="drill")
    assert (operation.actor, operation.automatic) == (ACTOR.name, True)
    world.settle()
    drill = Drill.objects.get()
    assert (drill.result, drill.automatic) == ("ok", True)


def test_the_sweep_of_backups_sees_to_it(world: World) -> None:
    [town] = towns(world, "alpha")
    report = sweep_backups(world.services, slot=world.now)
    assert report.drills is not None
    assert report.drills.begun == [str(town)]


def test_so_many_in_a_day_spread_over_it(world: World) -> None:
    towns(world, "alpha", "beta")
    begun = 0
    with override_settings(GASTOWN_DRILLS_PER_DAY=4):
        for _ in range(24 * 2):
            begun += len(sweep(world))
            assert Operation.objects.filter(kind="drill", state="open").count() <= 1
            world.settle()
            world.advance(HOUR / 2)
    assert begun in (4, 5)


def test_none_is_none(world: World) -> None:
    towns(world, "alpha")
    with override_settings(GASTOWN_DRILLS_PER_DAY=0):
        assert sweep(world) == []


def test_one_at_a_time(world: World) -> None:
    alpha, beta = towns(world, "alpha", "beta")
    ask(world, alpha, "drill")
    assert sweep(world) == []
    with override_settings(GASTOWN_DRILLS_AT_ONCE=2):
        assert sweep(world) == [str(beta)]


def test_whoever_was_never_drilled_or_longest_ago_has_its_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("towns.sweeps.drills.SAMPLE", 1)
    names = [str(town) for town in towns(world, "alpha", "beta", "gamma")]
    order = []
    for _ in range(6):
        order += sweep(world)
        world.settle()
        world.advance(3 * HOUR)
    assert set(order[:3]) == set(names)
    assert order[3:] == order[:3]


def test_chance_comes_from_the_services(world: World) -> None:
    towns(world, *(f"town-{number}" for number in range(6)))
    chosen = set()
    for seed in range(12):
        world.rng.seed(seed)
        [name] = sweep(world)
        chosen.add(name)
        Operation.objects.filter(kind="drill").update(state="failed")
        Drill.objects.all().delete()
    assert len(chosen) > 2


@pytest.mark.parametrize("how", ["frozen", "fleet breaker", "region breaker", "held", "busy"])
def test_automation_that_is_halted_drills_nobody(world: World, how: str) -> None:
    [town] = towns(world, "alpha")
    match how:
        case "frozen":
            automation.freeze("all", reason="window", actor=Actor("ann"), now=world.now)
        case "fleet breaker":
            Breaker.objects.create(scope=FLEET, state="open", reason="x", opened_at=world.now)
        case "region breaker":
            scope = f"region:{town.region}"
            Breaker.objects.create(scope=scope, state="open", reason="x", opened_at=world.now)
        case "held":
            Town.objects.update(hold_reason="a look into it")
        case "busy":
            ask(world, town, "backup")
    assert sweep(world) == []


def test_a_drill_that_proved_nothing_is_tried_again_later(world: World) -> None:
    [town] = towns(world, "alpha")
    sweep(world)
    ask_and_settle(world, town, "restart")
    assert Drill.objects.get().result == "inconclusive"
    assert sweep(world) == []
    world.advance(3 * HOUR)
    assert sweep(world) == [str(town)]


def test_litestream_253_drills_that_only_ever_prove_nothing_are_news(world: World) -> None:
    [town] = towns(world, "alpha")
    for number in range(5):
        began = world.now - timedelta(hours=number + 1)
        make_drill(town, result="inconclusive", reason="no room", began_at=began)
    sweep(world)
    alert = Alert.objects.get(cause="drills_inconclusive")
    assert (alert.subject, alert.resolved_at) == (FLEET, None)
    world.settle()
    sweep(world)
    alert.refresh_from_db()
    assert alert.resolved_at is not None


def test_what_a_drill_left_over_goes_with_the_sweeps(world: World) -> None:
    [town] = towns(world, "alpha")
    sweep(world)
    world.drive()
    ask_and_settle(world, town, "stop")
    assert len(world.fly.drills()) == 1
    for _ in range(3):
        see_to_drills(world.services)
        world.advance(300)
    assert world.fly.drills() == []
    assert len(world.fly.volumes) == 1
    assert Drill.objects.get().cleaned_at is not None


def test_fly_that_is_away_is_said_and_tried_again(world: World) -> None:
    [town] = towns(world, "alpha")
    sweep(world)
    world.drive()
    ask_and_settle(world, town, "stop")
    world.faults.fly_down = True
    report = see_to_drills(world.services)
    assert "could not be looked for" in report.note
    assert Drill.objects.get().cleaned_at is None


def test_two_list_calls_whatever_is_left_over(world: World) -> None:
    found = towns(world, "alpha", "beta", "gamma")
    for town in found:
        ask_and_settle(world, town, "drill")
    before = world.faults.names()
    see_to_drills(world.services)
    calls = world.faults.names()[len(before) :]
    assert [name for name in calls if name.startswith("fly.")] == [
        "fly.list_machines",
        "fly.list_volumes",
    ]
