"""The ASGI entry point: all that WSGI serves, and what is live."""

import os
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gastown_ops.settings")
_pages = get_asgi_application()  # first: what follows needs the apps

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.db import connections  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from towns.live.socket import NoSocket, TownSocket  # noqa: E402
from towns.second_factor.gate import gated_sockets  # noqa: E402

# A request's thread ends with it here, and a connection that is kept would outlive its use.
connections.settings["default"]["CONN_MAX_AGE"] = 0

_town: Any = TownSocket.as_asgi()  # Django's path() knows only views
_none: Any = NoSocket.as_asgi()
_sockets = [path("live/towns/<uuid:town_id>", _town), re_path("", _none)]
application = ProtocolTypeRouter(
    {
        "http": _pages,
        "websocket": AllowedHostsOriginValidator(gated_sockets(URLRouter(_sockets))),
    }
)
