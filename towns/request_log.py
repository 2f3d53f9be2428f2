"""Each request has an id, which is in all that is logged of it and in the answer, and one line says
what came of it.
"""

import logging
import re
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.encoding import escape_uri_path

from towns.api.access import Caller
from towns.logs import REQUEST_KEY, about, add_about

HEADER = "X-Request-ID"
VALID = re.compile(r"[A-Za-z0-9._:=/+-]{1,128}")
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds, by machines."""
log = logging.getLogger(__name__)


class RequestLogMiddleware:
    """The outermost: takes the proxy's id, or makes one, and tells of the request when it is
    answered. What follows `?` is not told: secrets may be in it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        request_id = id_of(request)
        request.META[REQUEST_KEY] = request_id
        with about(request_id=request_id):
            response = self._get_response(request)
            _tell(request, response, ms=round(1000 * (time.perf_counter() - began)))
        response.headers[HEADER] = request_id
        return response

    def process_view(
        self, request: HttpRequest, view: object, given: object, named: dict[str, Any]
    ) -> None:
        """What is logged from here on is about the town or operation in the address."""
        ids = ("town", "operation")
        add_about(**{name: named[f"{name}_id"] for name in ids if f"{name}_id" in named})


def id_of(request: HttpRequest) -> str:
    """The id that came with a request, if it is one; else a new one."""
    given = request.headers.get(HEADER, "")
    return given if VALID.fullmatch(given) else uuid4().hex


def _tell(request: HttpRequest, response: HttpResponseBase, *, ms: int) -> None:
    path, status = escape_uri_path(request.path), response.status_code
    facts = {"method": request.method, "path": path, "status": status, "ms": ms}
    user_id = _user_id(request)
    level = logging.DEBUG if request.path in QUIET else logging.INFO
    extra = facts if user_id is None else {**facts, "user_id": user_id}
    log.log(level, "%s %s: %s in %s ms", request.method, path, status, ms, extra=extra)


def _user_id(request: HttpRequest) -> int | None:
    """Who asked, as far as somebody wanted to know: to find out would cost a look-up."""
    caller = getattr(request, "auth", None)
    if isinstance(caller, Caller):
        return caller.user.pk
    known = vars(request)
    user = known.get("_cached_user") or known.get("_acached_user")
    return user.pk if user is not None else None
