"""Calls in an event loop, at most so many at a time, and spread so that they make no burst."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

TICK_SECONDS = 0.01
"""How finely calls are spread."""
BEHIND_SECONDS = 2.0
"""So much of what was not begun in time is made up for …"""
CATCHING_UP = 2
"""… at so many times the rate, so that a busy moment of ours is followed by no burst."""


class Slots:
    """Calls `one` as often as it was asked to. `limit` at a time; `rate` says how many a second, 0
    for as many as there are slots."""

    def __init__(
        self, one: Callable[[], Coroutine[Any, Any, None]], limit: int, rate: Callable[[], float]
    ) -> None:
        self._one = one
        self._limit = limit
        self._rate = rate
        self._allowed = 0
        self._held_back = 0
        self._idle: list[asyncio.Future[None]] = []
        self._made = 0
        self._group = asyncio.TaskGroup()

    async def run(self) -> None:
        """Work until cancelled. What `one` raises ends it, as an ExceptionGroup."""
        async with self._group:
            await self._spread()

    def ask(self, count: int) -> None:
        """Have so many more calls made."""
        for _ in range(min(self._limit - self._made, count)):
            self._group.create_task(self._slot())
            self._made += 1
        self._held_back += count
        if not self._rate():
            self._release(count)

    async def _slot(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._allowed:
                turn = loop.create_future()
                self._idle.append(turn)
                await turn
            self._allowed -= 1
            await self._one()

    async def _spread(self) -> None:
        clock = asyncio.get_running_loop().time
        allowed, last = 0.0, clock()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            rate, now = self._rate(), clock()
            allowed = min(allowed + (now - last) * rate, max(1.0, BEHIND_SECONDS * rate))
            last = now
            most = max(1, round(CATCHING_UP * TICK_SECONDS * rate))
            count = min(self._held_back, int(allowed), most) if rate else self._held_back
            self._release(count)
            # Who has nothing to ask saves nothing up.
            allowed = allowed - count if self._held_back else min(allowed - count, 1.0)

    def _release(self, count: int) -> None:
        self._held_back -= count
        self._allowed += count
        for _ in range(min(count, len(self._idle))):
            self._idle.pop().set_result(None)
