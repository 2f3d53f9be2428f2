"""One process of uvicorn that serves the application, and 16 connections that use its towns."""

import asyncio
import http.client
import multiprocessing
import random
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.touching import CONNECTIONS

HOST = "127.0.0.1"
_TICK = 100


@dataclass(frozen=True, slots=True)
class Server:
    """Where it listens, and its process."""

    port: int
    pid: int

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK


@dataclass(frozen=True, slots=True)
class Used:
    """What so many messages or calls cost."""

    count: int
    seconds: float
    cpu: float


@contextmanager
def serving() -> Iterator[Server]:
    """A server on the database of the environment."""
    listening = socket.create_server((HOST, 0))
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(listening,))
    process.start()
    try:
        assert process.pid is not None
        yield Server(listening.getsockname()[1], process.pid)
    finally:
        process.terminate()
        process.join()


def _serve(listening: socket.socket) -> None:
    import django

    django.setup()
    from django.conf import settings

    settings.DEBUG = False
    settings.ALLOWED_HOSTS = [HOST]
    settings.GASTOWN_API_RATE_PER_MINUTE = 0
    import uvicorn

    from gastown_ops.asgi import application

    config = uvicorn.Config(application, lifespan="off", log_config=None, access_log=False)
    uvicorn.Server(config).run([listening])


def send_messages(
    server: Server, secret: str, towns: Sequence[Any], *, rate: float, seconds: float
) -> Used:
    """Through a WebSocket to each of the towns, `rate` a second in all."""
    return asyncio.run(_send_messages(server, secret, towns, rate / len(towns), seconds))


async def _send_messages(
    server: Server, secret: str, towns: Sequence[Any], rate: float, seconds: float
) -> Used:
    from websockets.asyncio.client import connect

    async def open_one(town: Any) -> Any:
        address = f"ws://{HOST}:{server.port}/live/towns/{town}"
        line = await connect(address, additional_headers={"Authorization": f"Bearer {secret}"})
        await line.recv()
        return line

    async def talk(line: Any, begun: float) -> int:
        count = 0
        while (now := time.perf_counter() - begun) < seconds:
            for _ in range(int(now * rate) - count):
                await line.send("a key was pressed")
                count += 1
            await asyncio.sleep(0.01)
        return count

    lines = [await open_one(town) for town in towns]
    cpu, begun = server.cpu(), time.perf_counter()
    counts = await asyncio.gather(*(talk(line, begun) for line in lines))
    rested = await _at_rest(server)
    for line in lines:
        await line.close()
    return Used(sum(counts), rested - begun, server.cpu() - cpu)


async def _at_rest(server: Server) -> float:
    """When it had done all: what it has read it keeps in a queue, however long that gets."""
    while True:
        cpu, began = server.cpu(), time.perf_counter()
        await asyncio.sleep(0.5)
        if server.cpu() - cpu < 0.1:
            return began


def call(server: Server, secret: str, towns: Sequence[Any], *, seconds: float) -> Used:
    """The API's `interactions` of random towns, from so many connections as fast as they can."""

    def one(number: int, until: float) -> int:
        rng, count = random.Random(number), 0
        line = http.client.HTTPConnection(HOST, server.port)
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        while time.perf_counter() < until:
            line.request("POST", f"/api/v1/towns/{rng.choice(towns)}/interactions", "{}", headers)
            answer = line.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            count += 1
        line.close()
        return count

    one(0, time.perf_counter() + 1)  # it warms up
    cpu, begun = server.cpu(), time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        counts = list(pool.map(one, range(CONNECTIONS), [begun + seconds] * CONNECTIONS))
    return Used(sum(counts), time.perf_counter() - begun, server.cpu() - cpu)
