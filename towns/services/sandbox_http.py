"""HTTP to machines that may be hung, half-dead or not ours: every call has one bounded time.

The time-outs of requests and urllib3 bound each single read, so that a server that sends a byte
now and then holds its caller for as long as it likes. Here every read gets only what is left of
the whole call's time. Nothing is taken from the environment, redirects are not followed, and no
connection is kept: a town is asked every few minutes, and a connection that its machine closed in
between would look like a refusal.
"""

import io
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

BODY_LIMIT = 1024 * 1024
_CHUNK = 64 * 1024
_local = threading.local()


class TooLarge(Exception):
    """The body is over BODY_LIMIT bytes."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """All reads of calls inside end, in this thread, `seconds` after its beginning."""
    _local.ends_at = time.monotonic() + seconds
    try:
        yield
    finally:
        del _local.ends_at


def _left() -> float:
    left: float = _local.ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time for the whole call is over")
    return left


def exchange(
    method: str, url: str, headers: Mapping[str, str], seconds: float
) -> tuple[int, bytes]:
    """One request; returns status and body. Raises TooLarge, and what requests and urllib3 raise.

    The adapter is used without a session, which would only add cookies, redirects and time.
    """
    request = requests.PreparedRequest()
    request.prepare(method=method, url=url, headers=dict(headers))
    with time_limit(seconds):
        response = _adapter().send(request, stream=True, timeout=seconds)
        try:
            return response.status_code, _read(response)
        finally:
            response.close()


def _read(response: requests.Response) -> bytes:
    """The body as it was sent. Only a read that brings nothing tells whether it was cut off."""
    body = b""
    while chunk := response.raw.read(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > BODY_LIMIT:
            raise TooLarge
    return body


def _adapter() -> HTTPAdapter:
    """This thread's adapter."""
    adapter: HTTPAdapter | None = getattr(_local, "adapter", None)
    if adapter is None:
        adapter = _local.adapter = _Adapter(max_retries=0)
    return adapter


class _TimedSocket:
    """A connected socket whose reads end when the call's time does."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def makefile(self, *args: Any, **kwargs: Any) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock, self._sock.makefile("rb", buffering=0)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: Any, raw: Any) -> None:
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left())
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _TimedConnection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        self.sock = _TimedSocket(self.sock)


class _TimedSecureConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        self.sock = _TimedSocket(self.sock)


class _KeepsNone(HTTPConnectionPool):
    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.close()


class _Pool(_KeepsNone):
    ConnectionCls = _TimedConnection


class _SecurePool(_KeepsNone, HTTPSConnectionPool):
    ConnectionCls = _TimedSecureConnection


class _Adapter(HTTPAdapter):
    """requests' own adapter, on our connections and with certificates loaded only once."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=ssl_context())
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """The context verifies; requests would load all certificates again for each connection."""


_context_lock = threading.Lock()
_context: list[ssl.SSLContext] = []


def ssl_context() -> ssl.SSLContext:
    """With certifi's certificates, read once a process."""
    with _context_lock:
        if not _context:
            _context.append(ssl.create_default_context(cafile=certifi.where()))
        return _context[0]
