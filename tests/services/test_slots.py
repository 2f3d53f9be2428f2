"""Calls at most so many at a time, and spread over time."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from towns.services.slots import CATCHING_UP, Slots

from .virtual_time import run, stand_still


class Calls:
    """Each takes some seconds of the loop's time."""

    def __init__(self, seconds: float) -> None:
        self.begun: list[float] = []
        self.most = 0
        self._seconds = seconds
        self._at_once = 0

    async def one(self) -> None:
        self.begun.append(asyncio.get_running_loop().time())
        self._at_once += 1
        self.most = max(self.most, self._at_once)
        await asyncio.sleep(self._seconds)
        self._at_once -= 1


def work(calls: Calls, *, limit: int, rate: float, ask: list[int], until: float) -> None:
    """Ask for so many calls, one lot every second, and stop then."""

    async def all_of_it() -> None:
        slots = Slots(calls.one, limit, lambda: rate)
        running = asyncio.create_task(slots.run())
        await asyncio.sleep(0)
        for count in ask:
            slots.ask(count)
            await asyncio.sleep(1)
        await asyncio.sleep(until - len(ask))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    run(all_of_it())


def test_each_is_called_once_and_no_more_at_a_time_than_there_are_slots() -> None:
    calls = Calls(0.5)
    work(calls, limit=3, rate=0, ask=[10], until=5)
    assert len(calls.begun) == 10
    assert calls.most == 3
    assert max(calls.begun) == pytest.approx(1.5)


def test_they_are_spread_and_never_a_burst() -> None:
    calls = Calls(0.01)
    work(calls, limit=1000, rate=100, ask=[200, 100], until=5)
    assert len(calls.begun) == 300
    assert max(calls.begun) == pytest.approx(3, abs=0.1)
    for at in range(30):
        within = [one for one in calls.begun if at / 10 <= one < (at + 1) / 10]
        assert len(within) <= 12, "a tenth of a second has its tenth"


def test_what_was_not_asked_in_time_is_not_made_up_for_in_a_burst() -> None:
    calls = Calls(0.01)
    work(calls, limit=1000, rate=100, ask=[1, 0, 0, 0, 500], until=20)
    at_once = [one for one in calls.begun if 4 <= one < 4.1]
    assert len(at_once) <= 12, "who had nothing to ask has saved nothing up"


def test_a_busy_moment_of_ours_is_caught_up_without_a_burst() -> None:
    """The loop stands still for a second; the rest goes at twice the rate until it is made up."""
    begun: list[float] = []

    async def one() -> None:
        begun.append(asyncio.get_running_loop().time())
        if len(begun) == 100:
            stand_still(1.0)

    class Stalls(Calls):
        def one(self) -> Coroutine[Any, Any, None]:
            return one()

    work(Stalls(0), limit=1000, rate=100, ask=[500], until=10)
    assert max(begun) == pytest.approx(5, abs=0.2), "all the same it is over in time"
    for at in range(20, 30):
        within = [moment for moment in begun if at / 10 <= moment < (at + 1) / 10]
        assert len(within) <= 100 / 10 * CATCHING_UP + 2


def test_one_that_hangs_holds_its_slot_alone() -> None:
    begun: list[int] = []

    async def one() -> None:
        begun.append(len(begun))
        if len(begun) == 1:
            await asyncio.sleep(100)

    class First(Calls):
        def one(self) -> Coroutine[Any, Any, None]:
            return one()

    work(First(0), limit=2, rate=0, ask=[6], until=5)
    assert begun == list(range(6))


def test_what_a_call_raises_ends_it() -> None:
    async def one() -> None:
        raise RuntimeError("no such thing")

    async def all_of_it() -> None:
        slots = Slots(one, 2, lambda: 0)
        running = asyncio.create_task(slots.run())
        await asyncio.sleep(0)
        slots.ask(1)
        with pytest.raises(ExceptionGroup) as raised:
            await running
        assert [str(error) for error in raised.value.exceptions] == ["no such thing"]

    run(all_of_it())
