"""The one gate: a session of staff is nobody's until a code was given in it.

Whatever asks who is signed in (views, the API, `/live/`, the WebSocket) then gets the answer for
nobody, so that no door has to know of second factors, and a new one is closed without a word.
"""

from collections.abc import Callable
from typing import Any

from channels.auth import AuthMiddleware
from channels.db import database_sync_to_async
from channels.sessions import CookieMiddleware, SessionMiddleware
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.models import Device


def needs(user: Any) -> bool:
    """Whether somebody has to give a second factor."""
    return settings.GASTOWN_STAFF_TWO_FACTOR and (user.is_staff or user.is_superuser)


def admits(session: Any, user: Any) -> bool:
    """Whether a session counts as its user's. One in which a code was given does as long as the
    authenticator is the user's: once it is replaced or reset, what a thief holds ends too."""
    if not needs(user):
        return True
    told = session.get(DEVICE_ID_SESSION_KEY)
    device = Device.from_persistent_id(told) if told else None
    return device is not None and device.confirmed and device.user_id == user.pk


class Gate:
    """For requests. It stands after Django's own middleware that tells who is signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer it, as nobody's request where the gate is closed."""
        if settings.GASTOWN_STAFF_TWO_FACTOR:
            found, found_later = request.user, request.auser

            async def later() -> Any:
                return await database_sync_to_async(_passed)(request.session, await found_later())

            lazy: Any = SimpleLazyObject(lambda: _passed(request.session, found))
            request.user, request.auser = lazy, later
        return self._get_response(request)


class SocketGate(AuthMiddleware):
    """For WebSockets, which no middleware of Django's sees."""

    async def resolve_scope(self, scope: Any) -> None:
        """Put into the scope who is signed in."""
        await super().resolve_scope(scope)
        scope["user"] = await database_sync_to_async(_passed)(scope["session"], scope["user"])


def gated_sockets(inner: Any) -> Any:
    """As `channels.auth.AuthMiddlewareStack`, with the gate."""
    return CookieMiddleware(SessionMiddleware(SocketGate(inner)))


def _passed(session: Any, user: Any) -> Any:
    return user if admits(session, user) else AnonymousUser()
