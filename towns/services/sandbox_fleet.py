"""Asking many sandboxes at once, in one event loop: one that hangs costs a socket, never a thread.

Each slot takes the next address when it is done with one, so that memory holds as many calls as
there are slots, whatever the fleet's size. Connections are kept only where towns share an address,
as behind Fly's proxy; where each has its own, the next probe would find it closed by its machine,
which would look like a refusal.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from towns.probe import Probe

from .sandbox_http import BODY_LIMIT, TooLarge, ssl_context
from .sandbox_problems import REMOTE_ERRORS
from .sandbox_types import SandboxAddress

try:
    import uvloop
except ImportError:  # it isn't there for every system
    _new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    _new_loop = uvloop.new_event_loop

_NONE = (aiohttp.hdrs.USER_AGENT,)
"""Headers that aiohttp would add."""
Read = Callable[[float, int | Exception, bytes], Probe]
"""Makes a probe of when it began, the status or what was raised, and the body."""


def ask_all(
    addresses: Sequence[SandboxAddress],
    headers: Callable[[SandboxAddress], Mapping[str, str]],
    read: Read,
    *,
    path: str,
    slots: int,
    seconds: float,
) -> list[Probe]:
    """`GET path` of each, at most `slots` at a time; answers in the order asked. `seconds` bound
    each call as a whole, from resolving its name to the last byte."""
    found: list[Probe | None] = [None] * len(addresses)
    waiting = iter(enumerate(addresses))

    async def slot(session: aiohttp.ClientSession, waiting: Iterator[tuple[int, Any]]) -> None:
        for number, address in waiting:
            began, body = time.monotonic(), b""
            told: int | Exception
            try:
                told, body = await _ask(session, address.url + path, headers(address))
            except (aiohttp.ClientError, TooLarge, *REMOTE_ERRORS) as error:
                told = error
            found[number] = read(began, told, body)

    async def ask() -> None:
        async with _session(addresses, seconds) as session, asyncio.TaskGroup() as group:
            for _ in range(min(slots, len(addresses))):
                group.create_task(slot(session, waiting))

    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(ask())
    return [probe for probe in found if probe is not None]


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
async def _session(
    addresses: Sequence[SandboxAddress], seconds: float
) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(
        limit=0,  # there are no more calls than slots
        force_close=not _share(addresses),
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
    places: Counter[str] = Counter()
    for address in addresses:
        try:
            places[urlsplit(address.url).netloc] += 1
        except ValueError:  # an address without sense shares nothing
            continue
    return any(count > 1 for count in places.values())
