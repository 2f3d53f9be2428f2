"""Where what comes through ASGI goes: pages, and the WebSockets of towns."""

from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.db import connections
from django.urls import path, re_path

from towns.live.origin import OriginOfCookies
from towns.live.socket import NoSocket, TownSocket
from towns.second_factor.gate import gated_sockets

_town: Any = TownSocket.as_asgi()  # Django's path() knows only views
_none: Any = NoSocket.as_asgi()
_sockets = [path("live/towns/<uuid:town_id>", _town), re_path("", _none)]


def routed(pages: Any) -> ProtocolTypeRouter:
    """The whole application, given Django's own. No database connection is kept in it: a request's
    thread ends with it, and a connection that is kept would outlive its use."""
    connections.settings["default"]["CONN_MAX_AGE"] = 0
    sockets = OriginOfCookies(gated_sockets(URLRouter(_sockets)))
    return ProtocolTypeRouter({"http": pages, "websocket": sockets})
