"""The API as a whole: its routers, and one handler for whatever goes wrong."""

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.openapi.docs import Swagger
from ninja.openapi.schema import OpenAPISchema

from towns.actions import NotAllowed
from towns.api import automation, doing, fleet, heartbeat, lists, towns, webhooks
from towns.api.access import SessionAuth
from towns.api.bearer import TokenAuth
from towns.api.documenting import DESCRIPTION, complete
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


class DocumentedAPI(NinjaAPI):
    """Says of every view that a refusal is a problem document, with the codes that it may have."""

    def get_openapi_schema(self, **given: Any) -> OpenAPISchema:
        """The document (OpenAPI 3.1), refusals and headers included."""
        document = super().get_openapi_schema(**given)
        complete(document)
        return document


def _make(namespace: str, **settings: Any) -> NinjaAPI:
    made = DocumentedAPI(
        title="Gastown Ops",
        version="1",
        urls_namespace=namespace,
        parser=StrictParser(),
        description=DESCRIPTION,
        docs=Swagger({"deepLinking": False}),  # a link inside of a button is for nobody
        **settings,
    )

    def refuse(request: HttpRequest, error: Any) -> HttpResponse:
        return problem_response(request, as_problem(error))

    handler: Callable[[HttpRequest, Any], HttpResponse] = refuse
    for kind in _ERRORS:
        made.add_exception_handler(kind, handler)
    return made


api = _make("api", auth=[TokenAuth(), SessionAuth()])
for _router in (
    towns.router,
    doing.router,
    lists.router,
    fleet.router,
    automation.router,
    webhooks.router,
):
    api.add_router("", _router)

sandbox_api = _make("sandbox-api", docs_url=None, openapi_url=None)
sandbox_api.add_router("", heartbeat.router)
