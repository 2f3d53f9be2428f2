"""The ASGI entry point: all that WSGI serves, and what is live."""

import os
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gastown_ops.settings")


def _make() -> Any:
    pages = get_asgi_application()
    from towns.live.routing import routed  # here, since it needs the apps

    return routed(pages)


application = _make()
