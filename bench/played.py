"""A fleet of sandboxes, played by one small process: each `GET /{town}/health` is answered after a
pause, on every address of 127.0.0.0/8, so that towns can share one or have their own.

`python -m bench.played [--pause SECONDS] [--hang PERCENT] [--refuse PERCENT]` prints its port.
Which towns hang or refuse follows from their ids. `/metrics` answers Prometheus, and `/answered`
how many were answered by now.
"""

import argparse
import asyncio
import resource
import time
from typing import cast

BACKLOG = 8192
_BODY = (
    b'{"town_id": "%s", "daemon": {"running": true, "pid": 1, "last_heartbeat_at": "%s", '
    b'"heartbeat_count": 1}, "dolt": {"running": true, "port": 3307, "latency_ms": 2.1}, '
    b'"tmux": {"sessions": 7}, "polecats": {"active": 0, "total": 3}, '
    b'"merge_queue": {"in_flight": 0}, '
    b'"disk": {"used_bytes": 1200000000, "total_bytes": 50000000000}, '
    b'"memory": {"used_bytes": 900000000, "total_bytes": 8000000000}, '
    b'"cpu": {"used_ratio": 0.12, "cores": 4, "load_1m": 0.4}, '
    b'"restore": {"state": "none", "snapshot": null, "error": null}, "draining": false}'
)
_METRICS = b"".join(b"town_figure_%d 12345\n" % number for number in range(11))
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"


class Played(asyncio.Protocol):
    """One connection."""

    answered = 0
    """By all connections."""

    def __init__(self, pause: float, hang: int, refuse: int) -> None:
        self._pause, self._hang, self._refuse = pause, hang, refuse
        self._loop = asyncio.get_running_loop()
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._heard += data
        while (end := self._heard.find(b"\r\n\r\n")) >= 0:
            path = self._heard[:end].split(b" ", 2)[1]
            self._heard = self._heard[end + 4 :]
            self._answer(path)

    def _answer(self, path: bytes) -> None:
        if path == b"/answered":
            told = b"%d" % Played.answered
            self._write(_HEAD % (b"text/plain", len(told)) + told)
            return
        if path == b"/metrics":
            self._later(_HEAD % (b"text/plain", len(_METRICS)) + _METRICS)
            return
        town = path.split(b"/")[1]
        share = int(town[:8], 16) % 100 if self._hang or self._refuse else 100
        if share < self._hang:
            return
        if share < self._hang + self._refuse:
            self._transport.abort()
            return
        body = _BODY % (town, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()).encode())
        self._later(_HEAD % (b"application/json", len(body)) + body)

    def _later(self, answer: bytes) -> None:
        Played.answered += 1
        self._loop.call_later(self._pause, self._write, answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def serve(pause: float, hang: int, refuse: int, host: str, port: int) -> None:
    """Answer until killed."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Played(pause, hang, refuse), host, port, backlog=BACKLOG
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """From the shell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pause", type=float, default=0.02, help="seconds before each answer")
    parser.add_argument("--hang", type=int, default=0, help="percent of towns that never answer")
    parser.add_argument("--refuse", type=int, default=0, help="percent of towns that hang up")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    work = serve(given.pause, given.hang, given.refuse, given.host, given.port)
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


if __name__ == "__main__":
    main()
