"""Fly's Machines API, as far as starts ask it, played by one small process: a machine boots for
some seconds after its start. `python -m bench.played_fly SECONDS` prints its port."""

import asyncio
import json
import sys
import time
from typing import cast


class Fly(asyncio.Protocol):
    """One connection."""

    started: dict[bytes, float]
    """When each machine was started, by id."""
    boots: float

    def __init__(self) -> None:
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._heard += data
        while (end := self._heard.find(b"\r\n\r\n")) >= 0:
            head = self._heard[:end].lower()
            length = 0
            if (at := head.find(b"content-length:")) >= 0:
                length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self._heard) < end + 4 + length:
                return
            method, path = self._heard[:end].split(b" ", 2)[:2]
            self._heard = self._heard[end + 4 + length :]
            body = self._answer(method, path.partition(b"?")[0].split(b"/"))
            self._transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                % (len(body), body)
            )

    def _answer(self, method: bytes, path: list[bytes]) -> bytes:
        if path[-1] == b"start":
            self.started.setdefault(path[-2], time.monotonic())
            return b"{}"
        kind, name = path[-2:]
        document = {"id": name.decode(), "name": "n", "region": "iad", "state": "created"}
        if kind == b"machines":
            since = self.started.get(name)
            if since is None:
                document["state"] = "stopped"
            else:
                booted = time.monotonic() - since > self.boots
                document["state"] = "started" if booted else "starting"
        return json.dumps(document).encode()


async def serve() -> None:
    """Answer until killed."""
    server = await asyncio.get_running_loop().create_server(Fly, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    Fly.started, Fly.boots = {}, float(sys.argv[1])
    asyncio.run(serve())
