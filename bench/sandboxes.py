"""A fleet of sandboxes in one small process: each `GET /{town}/health` answers after a pause.

`python -m bench.sandboxes SECONDS` prints its port.
"""

import asyncio
import json
import sys


def body_of(town_id: str) -> bytes:
    """A healthy town's report."""
    report = {
        "town_id": town_id,
        "daemon": {"running": True, "pid": 1, "last_heartbeat_at": None, "heartbeat_count": 1},
        "dolt": {"running": True, "port": 3307, "latency_ms": 2.1},
        "tmux": {"sessions": 7},
        "polecats": {"active": 0, "total": 3},
        "merge_queue": {"in_flight": 0},
        "disk": {"used_bytes": 1200000000, "total_bytes": 50000000000},
        "memory": {"used_bytes": 900000000, "total_bytes": 8000000000},
        "cpu": {"used_ratio": 0.12, "cores": 4, "load_1m": 0.4},
        "restore": {"state": "none", "snapshot": None, "error": None},
        "draining": False,
    }
    return json.dumps(report).encode()


async def serve(pause: float) -> None:
    """Answer until killed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                town_id = head.split(b" ", 2)[1].split(b"/")[1].decode()
                await asyncio.sleep(pause)
                body = body_of(town_id)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                    b"content-length: %d\r\n\r\n" % len(body) + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
