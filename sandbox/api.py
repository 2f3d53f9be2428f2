"""The internal HTTP API: `GET /health` and `POST /sync` (sandbox.md), key in x-internal-api-key."""

import errno
import hmac
import json
import logging
import socket
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import clock
from .agent import Agent
from .health import Health
from .state import RestoreState

logger = logging.getLogger(__name__)

KEY_HEADER = "x-internal-api-key"
_ROUTES = {"/health": "GET", "/sync": "POST"}
_CONNECTION_TIMEOUT = 15.0
_MAX_BODY = 64 * 1024


class Server(ThreadingHTTPServer):
    """Serves the API, one thread a connection. Bound when made; raises OSError if it can't."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.health = Health(agent.settings, agent.state)
        host = agent.settings.host
        # Fly's private network is IPv6; one socket serves both families where the system allows.
        if ":" in host or (not host and socket.has_dualstack_ipv6()):
            self.address_family = socket.AF_INET6
        address = (host, agent.settings.port)
        try:
            super().__init__(address, Handler)
        except OSError as error:
            if host or error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
            # IPv6 is compiled in but switched off on this host.
            self.address_family = socket.AF_INET
            super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind for IPv4 too. The base class would also look up our host's name, which can hang."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _CONNECTION_TIMEOUT

    def _handle(self) -> None:
        self._drop_body()
        path = self.path.split("?", 1)[0]
        expected = self.server.agent.settings.api_key
        if not expected:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "INTERNAL_API_KEY is not set"})
        elif not self._key_is(expected):
            self._answer(HTTPStatus.FORBIDDEN, {"error": "Forbidden"})
        elif path not in _ROUTES:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "Not found"})
        elif self.command != _ROUTES[path]:
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "Method not allowed"})
        elif path == "/health":
            self._answer(HTTPStatus.OK, self.server.health.report())
        else:
            self._sync()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _handle

    def _key_is(self, expected: str) -> bool:
        given = self.headers.get(KEY_HEADER, "")
        return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())

    def _sync(self) -> None:
        agent = self.server.agent
        state = agent.state
        if agent.settings.drill:
            self._answer(HTTPStatus.CONFLICT, {"error": "this is a drill: it never backs up"})
        elif agent.settings.r2 is None:
            problem = agent.settings.r2_problem or "R2 is not configured"
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": problem})
        elif state.restore.state in (RestoreState.RUNNING, RestoreState.FAILED):
            self._answer(HTTPStatus.CONFLICT, {"error": "restoring"})
        elif state.draining:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "draining"})
        elif not state.town_ready:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "starting"})
        else:
            previous = state.backup.snapshot
            agent.request_sync()
            body = {"accepted_at": clock.iso(clock.now()), "previous": previous}
            self._answer(HTTPStatus.ACCEPTED, body)

    def _drop_body(self) -> None:
        """No request has a body that matters; what was sent is read so that the answer arrives."""
        length = self.headers.get("content-length", "0")
        if length.isdigit():
            self.rfile.read(min(int(length), _MAX_BODY))

    def _answer(self, status: HTTPStatus, body: Mapping[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.send_header("cache-control", "no-store")
        self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses (a malformed request, an odd method), as JSON too."""
        self.close_connection = True
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED
        self._answer(status, {"error": status.phrase})

    def version_string(self) -> str:
        """Nobody needs to know more."""
        return "sandbox"

    def log_message(self, format: str, *args: object) -> None:
        """Requests are logged for debugging only; the key is in no line."""
        logger.debug(format, *args)
