"""HTTP as the local cloud's handlers see it: a request, an answer, and the server between."""

import contextlib
import json
import logging
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from . import ids
from .errors import ApiError, Dropped, bad_request

log = logging.getLogger(__name__)
BODY_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """`parts` is the path, split; `target` is it as it was sent; header names are lower-case."""

    method: str
    target: str
    parts: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes
    connection: socket.socket = field(repr=False)

    def json(self) -> dict[str, Any]:
        """The body, which must be an object if there is one. Raises a 400."""
        if not self.content.strip():
            return {}
        try:
            body = json.loads(self.content)
        except (ValueError, RecursionError):
            raise bad_request("the body is not JSON") from None
        if not isinstance(body, dict):
            raise bad_request("the body is not a JSON object")
        return body

    def has_left(self) -> bool:
        """Has the client closed its connection?"""
        self.connection.setblocking(False)
        try:
            return self.connection.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.connection.setblocking(True)


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is sent as JSON; `raw` as it is, with nothing around it, and ends the connection."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None


Handle = Callable[[Request], Answer]


class Server(ThreadingHTTPServer):
    """Bound to 127.0.0.1 when made; raises OSError if the port is taken."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, handle: Handle) -> None:
        self.handle = handle
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """The base class would look up our host's name, which can hang."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nothing to report."""
        log.debug("a connection broke", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    """Buffered: an answer leaves in one piece."""

    def _serve(self) -> None:
        try:
            answer = self.server.handle(self._read())
        except ApiError as error:
            answer = Answer(error.body, error.code, error.headers)
        except Dropped:
            self._drop()
            return
        except Exception:
            log.exception("%s %s failed", self.command, self.path)
            answer = Answer({"error": "internal error of the local cloud"}, 500)
        self._answer(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve

    def _read(self) -> Request:
        length = self.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_LIMIT:
            self.close_connection = True
            raise ApiError(413, "the body is too large, or of no length")
        content = self.rfile.read(int(length))
        url = urlsplit(self.path)
        return Request(
            method=self.command,
            target=self.path,
            parts=tuple(part for part in url.path.split("/") if part),
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            content=content,
            connection=self.connection,
        )

    def _drop(self) -> None:
        """Reset the connection, so that the client sees it at once."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _answer(self, answer: Answer) -> None:
        if answer.raw is not None:
            self.close_connection = True
            self.wfile.write(answer.raw)
            return
        content = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(content)))
        self.send_header("fly-request-id", f"{ids.ulid()}-local")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses, as JSON too."""
        self.close_connection = True
        self._answer(Answer({"error": message or HTTPStatus(code).phrase}, code))

    def version_string(self) -> str:
        """As little as Fly tells."""
        return "localcloud"

    def log_message(self, format: str, *args: object) -> None:
        """Requests are of interest for debugging only."""
        log.debug(format, *args)
