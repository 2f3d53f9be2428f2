"""One reader of the database for all listeners of a process: a thousand open pages cost no more
statements than one."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from django.db import DatabaseError, close_old_connections, connections

from towns.live.stamps import read_stamps

Read = Callable[[Collection[str]], Mapping[str, str]]
PERIOD_SECONDS = 1.0
log = logging.getLogger(__name__)


class Listener:
    """Somebody who wants to know when one of a few topics changes."""

    def __init__(self, topics: Collection[str]) -> None:
        self.topics = frozenset(topics)
        self._stamps: dict[str, str] = {}
        self._news = asyncio.Event()

    @property
    def stamps(self) -> Mapping[str, str]:
        """The stamps that were read last; empty until the first reading."""
        return self._stamps

    async def changed(self, seconds: float) -> bool:
        """Wait for a change, the first reading being one; False if none came in so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    def hear(self, stamps: Mapping[str, str]) -> None:
        """Take in what was read."""
        mine = {topic: stamps[topic] for topic in self.topics if topic in stamps}
        if mine != self._stamps:
            self._stamps = mine
            self._news.set()


class Pulse:
    """Reads the stamps of all topics that anybody listens to, once in `period` seconds.

    It reads in one thread of its own, on one database connection, and rests while nobody listens.
    """

    def __init__(self, read: Read = read_stamps, *, period: float = PERIOD_SECONDS) -> None:
        self._read = read
        self._period = period
        self._listeners: set[Listener] = set()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pulse")
        self._failing = False
        self._beating: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def listening(self, topics: Collection[str]) -> AsyncIterator[Listener]:
        """Listen to topics for as long as the block lasts."""
        listener = Listener(topics)
        self._listeners.add(listener)
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beat())
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def _beat(self) -> None:
        try:
            while self._listeners:
                await self._tell_all()
                await asyncio.sleep(self._period)
        finally:
            self._thread.submit(connections.close_all)

    async def _tell_all(self) -> None:
        wanted = frozenset[str]().union(*(one.topics for one in self._listeners))
        loop = asyncio.get_running_loop()
        try:
            stamps = await loop.run_in_executor(self._thread, self._look, wanted)
        except DatabaseError:
            if not self._failing:
                log.exception("live pages are told of no change until the database answers")
            self._failing = True
            return
        self._failing = False
        for listener in self._listeners:
            listener.hear(stamps)

    def _look(self, topics: Collection[str]) -> Mapping[str, str]:
        close_old_connections()
        return self._read(topics)


_pulses: WeakKeyDictionary[asyncio.AbstractEventLoop, Pulse] = WeakKeyDictionary()


def pulse() -> Pulse:
    """The one of the running event loop."""
    return _pulses.setdefault(asyncio.get_running_loop(), Pulse())
