"""The Dolt server: does anything that speaks MySQL's protocol answer on its port?"""

import socket
import time
from dataclasses import dataclass

TIMEOUT = 0.5
_HANDSHAKE_V10 = 0x0A
_ERROR = 0xFF


@dataclass(frozen=True, slots=True)
class Dolt:
    """`dolt` of /health; `latency_ms` is the time to the first packet, if there was one."""

    running: bool
    port: int
    latency_ms: float | None


def probe_dolt(port: int, timeout: float = TIMEOUT) -> Dolt:
    """Connect and read the server's first packet; nothing is sent, nobody logs in.

    A server that refuses with an error packet ("too many connections") runs too. `timeout` in
    seconds bounds the whole probe.
    """
    began = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
            packet = _read(connection, 5, began + timeout)
    except OSError:
        packet = b""
    running = len(packet) == 5 and packet[3] == 0 and packet[4] in (_HANDSHAKE_V10, _ERROR)
    latency_ms = round((time.monotonic() - began) * 1000, 1) if running else None
    return Dolt(running, port, latency_ms)


def _read(connection: socket.socket, size: int, deadline: float) -> bytes:
    data = b""
    while len(data) < size:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        chunk = connection.recv(size - len(data))
        if not chunk:
            break
        data += chunk
    return data
