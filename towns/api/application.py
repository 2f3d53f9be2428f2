"""The API as a whole: its routers, and one handler for whatever goes wrong."""

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from towns.actions import NotAllowed
from towns.api import automation, doing, heartbeat, lists, towns
from towns.api.access import SessionAuth
from towns.api.problems import Problem, as_problem, problem_response
from towns.api.reading import StrictParser
from towns.changes import InvalidChange

_ERRORS: list[type[Exception]] = [
    Problem,
    NotAllowed,
    InvalidChange,
    ValidationError,
    AuthenticationError,
    HttpError,
    Http404,
]


def _make(namespace: str, **settings: Any) -> NinjaAPI:
    made = NinjaAPI(
        title="Gastown Ops",
        version="1",
        urls_namespace=namespace,
        parser=StrictParser(),
        description="Errors are `application/problem+json` (RFC 9457).",
        **settings,
    )

    def refuse(request: HttpRequest, error: Any) -> HttpResponse:
        return problem_response(request, as_problem(error))

    handler: Callable[[HttpRequest, Any], HttpResponse] = refuse
    for kind in _ERRORS:
        made.add_exception_handler(kind, handler)
    return made


api = _make("api", auth=SessionAuth())
for _router in (towns.router, doing.router, lists.router, automation.router):
    api.add_router("", _router)

sandbox_api = _make("sandbox-api", docs_url=None, openapi_url=None)
sandbox_api.add_router("", heartbeat.router)
