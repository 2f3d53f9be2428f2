"""No other site opens a WebSocket with the cookie of somebody who is signed in here."""

from typing import Any
from urllib.parse import urlparse

from channels.security.websocket import AllowedHostsOriginValidator

from towns.api.problems import Problem
from towns.live.callers import bearer_in, headers_of
from towns.live.socket import Refusing

ANOTHER_SITE = Problem(
    403,
    "A WebSocket of somebody signed in is opened by our own pages alone: their Origin is missing. "
    "A program sends a bearer token instead.",
    "origin",
)


class OriginOfCookies:
    """Looks at the Origin of handshakes that a cookie may sign in. A browser sends the cookie
    whoever asks; a bearer token is sent by those who have it, and they have no Origin."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._by_cookie = inner, AllowedHostsOriginValidator(inner)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let it through, or refuse it with a problem that says why."""
        headers = headers_of(scope)
        ours = bearer_in(headers) is not None or self._is_ours(headers.get("Origin"))
        inner = self._inner if ours else _OfAnotherSite.as_asgi()
        await inner(scope, receive, send)

    def _is_ours(self, origin: str | None) -> bool:
        try:
            found: bool = self._by_cookie.valid_origin(urlparse(origin) if origin else None)
        except ValueError:  # it is no address at all
            return False
        return found


class _OfAnotherSite(Refusing):
    """What another site's handshake gets."""

    async def connect(self) -> None:
        """Refuse it."""
        await self.refuse(ANOTHER_SITE)
