"""`/machines/{id}/…`: the way to a machine's sandbox, as Fly's private network is one.

It adds nothing and starts nothing. A machine that isn't there is a connection that breaks.
"""

import socket
import time
from collections.abc import Iterator

from .errors import Dropped
from .faults import Faults, MachineFault, hang_while
from .fleet import Fleet
from .web import Answer, Request

_TIMEOUT = 60.0
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "host", "content-length", "expect"})


class Proxy:
    """Forwards requests to sandboxes."""

    def __init__(self, fleet: Fleet, faults: Faults) -> None:
        self._fleet = fleet
        self._faults = faults

    def handle(self, request: Request) -> Answer:
        """Forward one. Raises Dropped."""
        machine_id = request.parts[1] if len(request.parts) > 1 else ""
        fault = self._faults.machine(machine_id)
        if fault.kind == "hang":
            hang_while(lambda: self._faults.machine(machine_id).kind == "hang", request.has_left)
        elif fault.delay:
            self._delay(machine_id, fault, request)
        port = self._fleet.port_of(machine_id)
        if port is None:
            raise Dropped
        return _faulty_answer(fault) or Answer(raw=_forward(request, machine_id, port))

    def _delay(self, machine_id: str, fault: MachineFault, request: Request) -> None:
        until = time.monotonic() + fault.delay
        hang_while(
            lambda: time.monotonic() < until and self._faults.machine(machine_id).delay > 0,
            request.has_left,
        )


def _faulty_answer(fault: MachineFault) -> Answer | None:
    match fault.kind:
        case "refuse":
            raise Dropped
        case "forbidden":
            return Answer({"error": "Forbidden"}, 403)
        case "error":
            return Answer({"error": "injected by localcloud ctl"}, 500)
        case "garbage":
            content = b'{"town_id": 12, "daemon": {"runn'
            head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(content)}\r\n"
            return Answer(raw=f"{head}content-type: application/json\r\n\r\n".encode() + content)
        case _:
            return None


def _forward(request: Request, machine_id: str, port: int) -> bytes:
    """The sandbox's whole answer. Raises Dropped if there is none."""
    target = request.target.split(machine_id, 1)[1] or "/"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT) as connection:
            connection.sendall(_head(request, target, port) + request.content)
            answer = b"".join(_chunks(connection))
    except OSError:
        raise Dropped from None
    if not answer:
        raise Dropped
    return answer


def _head(request: Request, target: str, port: int) -> bytes:
    lines = [f"{request.method} {target} HTTP/1.1", f"host: 127.0.0.1:{port}"]
    lines += [
        f"{name}: {value}" for name, value in request.headers.items() if name not in _HOP_BY_HOP
    ]
    lines += [f"content-length: {len(request.content)}", "connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _chunks(connection: socket.socket) -> Iterator[bytes]:
    while chunk := connection.recv(65536):
        yield chunk
