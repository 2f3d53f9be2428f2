"""Waiting for operations, with `--wait` and without workers."""

from functools import partial

import pytest

from tests.world import SHELL, World
from towns import actions
from towns.flows.waiting import wait_for
from towns.models import Operation
from towns.words import OperationState

pytestmark = pytest.mark.django_db


@pytest.fixture
def news() -> list[Operation]:
    """What was told on the way."""
    return []


def waited(world: World, news: list[Operation], *operations: Operation) -> list[Operation]:
    waiting = partial(wait_for, pause=world.advance, on_change=news.append)
    return waiting(operations, world.services)


def test_it_works(world: World, news: list[Operation]) -> None:
    town = world.create_town()
    [ended] = waited(world, news, Operation.objects.get(town=town))
    assert (ended.kind, ended.state, ended.town.status) == ("provision", "succeeded", "running")
    assert news[0].log == []
    assert news[-1].state == OperationState.SUCCEEDED


def test_several_go_on_in_turn(world: World, news: list[Operation]) -> None:
    """Ten towns take no longer than one."""
    operations = [
        Operation.objects.get(town=world.create_town(name)) for name in ("alpha", "beta", "gamma")
    ]
    ended = waited(world, news, *operations)
    assert [operation.pk for operation in ended] == [operation.pk for operation in operations]
    first_end = min(n for n, one in enumerate(news) if not one.is_open)
    assert {one.town.name for one in news[:first_end]} == {"alpha", "beta", "gamma"}


def test_what_follows_is_waited_for_too(world: World, news: list[Operation]) -> None:
    town = world.running_town()
    stop = actions.request_stop(town.pk, actor=SHELL, now=world.now).operation
    while stop.step != "await_stopped":
        world.advance(1)
        world.drive()
        stop.refresh_from_db()
    actions.request_start(town.pk, actor=SHELL, now=world.now)
    [ended] = waited(world, news, stop)
    assert (ended.kind, ended.town.status) == ("start", "running")
    assert [one.kind for one in news if not one.is_open] == ["stop", "start"]


def test_the_same_one_twice_is_one(world: World, news: list[Operation]) -> None:
    operation = Operation.objects.get(town=world.create_town())
    first, second = waited(world, news, operation, operation)
    assert first == second


def test_what_has_ended_is_not_waited_for(world: World, news: list[Operation]) -> None:
    operation = Operation.objects.get(town=world.running_town())
    before = world.now
    assert waited(world, news, operation) == [operation]
    assert world.now == before


def test_nothing_is_told_twice(world: World, news: list[Operation]) -> None:
    waited(world, news, Operation.objects.get(town=world.create_town()))
    told = [(one.state, one.step, one.attempt, one.message) for one in news]
    assert len(told) == len(set(told))


def test_none_at_all(world: World, news: list[Operation]) -> None:
    assert waited(world, news) == []
