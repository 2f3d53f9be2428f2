"""Asking many sandboxes at once, in one event loop: one that hangs costs a socket, never a thread.

Batches are handed in and taken out by whoever stores them, while a thread of its own asks, so that
a batch that waits for a hanging town holds up no other. Memory holds as many calls as there are
slots. Connections are kept only where towns share an address, as behind Fly's proxy; where each has
its own, the next probe would find it closed by its machine, which would look like a refusal.
"""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from towns.probe import Probe

from .open_files import room_for
from .sandbox_http import BODY_LIMIT, TooLarge, ssl_context
from .sandbox_problems import REMOTE_ERRORS
from .sandbox_types import SandboxAddress
from .slots import Slots

try:
    import uvloop
except ImportError:  # it isn't there for every system
    _new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    _new_loop = uvloop.new_event_loop

_NONE = (aiohttp.hdrs.USER_AGENT,)
"""Headers that aiohttp would add."""


@dataclass(frozen=True, slots=True)
class Question:
    """What every sandbox is asked: `GET path` with these headers, within `seconds` in all, from
    resolving its name to the last byte.

    `read` makes a probe of when it began, the status or what was raised, and the body. `heard` is
    told of the probes of each batch.
    """

    path: str
    headers: Callable[[SandboxAddress], Mapping[str, str]]
    read: Callable[[float, int | Exception, bytes], Probe]
    heard: Callable[[Sequence[Probe]], None]
    seconds: float


@dataclass(slots=True)
class _Batch:
    key: int
    addresses: Sequence[SandboxAddress]
    found: list[Probe | None] = field(init=False)
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = len(self.addresses)
        self.found = [None] * self.left


class FleetProbing:
    """Asks batches of sandboxes. It belongs to the one thread that begins and takes; leaving it
    drops what is under way."""

    def __init__(self, question: Question, *, concurrency: int) -> None:
        self.per_second = 0.0
        """How many are begun a second; 0 for as many as there are slots. May be changed."""
        self.under_way = 0
        """Batches that were begun and not taken."""
        self._question = question
        self._limit = concurrency
        self._waiting: deque[tuple[_Batch, int]] = deque()
        self._done: queue.SimpleQueue[_Batch | BaseException] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._runs = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots: Slots
        self._work: asyncio.Task[None]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            if self._loop is not None and self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._work.cancel)
            self._thread.join()

    @property
    def waiting(self) -> int:
        """How many sandboxes have not been asked yet."""
        return len(self._waiting)

    def begin(self, key: int, addresses: Sequence[SandboxAddress]) -> None:
        """Have them asked; `take` gives back what they said, under the key."""
        batch = _Batch(key, addresses)
        self.under_way += 1
        if not addresses:
            self._done.put(batch)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=[_share(addresses)], daemon=True)
            self._thread.start()
            self._runs.wait()
        if self._loop is None:  # it could not begin; `take` says why
            return
        self._waiting.extend((batch, number) for number in range(batch.left))
        self._loop.call_soon_threadsafe(self._slots.ask, batch.left)

    def take(self, seconds: float | None = None) -> tuple[int, list[Probe]] | None:
        """A batch that is done, its answers in the order asked; None if none is within `seconds`.

        Raises what ended the event loop, which nothing that a sandbox does should.
        """
        try:
            batch = self._done.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(batch, BaseException):
            raise batch
        self.under_way -= 1
        probes = [probe for probe in batch.found if probe is not None]
        self._question.heard(probes)
        return batch.key, probes

    def _run(self, share: bool) -> None:
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(self._ask_all(share))
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 (raised in the thread that takes)
            self._done.put(error)
        finally:
            self._runs.set()

    async def _ask_all(self, share: bool) -> None:
        async with _session(self._question.seconds, share) as session:
            work = asyncio.current_task()
            assert work is not None
            self._loop, self._work = asyncio.get_running_loop(), work
            self._slots = Slots(
                lambda: self._ask_next(session), room_for(self._limit), lambda: self.per_second
            )
            self._loop.call_soon(self._runs.set)  # by then its slots can be asked
            await self._slots.run()

    async def _ask_next(self, session: aiohttp.ClientSession) -> None:
        batch, number = self._waiting.popleft()
        batch.found[number] = await _probe(session, batch.addresses[number], self._question)
        batch.left -= 1
        if not batch.left:
            self._done.put(batch)


async def _probe(
    session: aiohttp.ClientSession, address: SandboxAddress, question: Question
) -> Probe:
    began, body = time.monotonic(), b""
    told: int | Exception
    try:
        told, body = await _ask(session, address.url + question.path, question.headers(address))
    except (aiohttp.ClientError, TooLarge, *REMOTE_ERRORS) as error:
        told = error
    return question.read(began, told, body)


async def _ask(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    async with session.get(url, headers=headers, allow_redirects=False) as response:
        body = b""
        async for part in response.content.iter_any():
            body += part
            if len(body) > BODY_LIMIT:
                raise TooLarge
        return response.status, body


@asynccontextmanager
async def _session(seconds: float, share: bool) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(
        limit=0,  # there are no more calls than slots
        force_close=not share,
        ssl=ssl_context(),
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_NONE,
        trust_env=False,
    ) as session:
        yield session


def _share(addresses: Sequence[SandboxAddress]) -> bool:
    """Whether any two answer at one host and port."""
    seen: set[str] = set()
    for address in addresses:
        try:
            place = urlsplit(address.url).netloc
        except ValueError:  # an address without sense shares nothing
            continue
        if place in seen:
            return True
        seen.add(place)
    return False
