"""Errors of the API as `application/problem+json` (RFC 9457), each with one clear sentence."""

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja.errors import AuthenticationError, HttpError, ValidationError

from towns.actions import NotAllowed
from towns.changes import InvalidChange

CONTENT_TYPE = "application/problem+json"
TYPE = "urn:gastown-ops:problem:"
PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "Why a request was refused (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "Tells programs the kind of refusal."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "Tells people why, and what to do."},
        "instance": {"type": "string"},
        "request_id": {"type": "string", "description": "With 5xx: what our log knows it by."},
        "errors": {
            "type": "array",
            "items": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
}
REFUSED: dict[str, Any] = {
    "description": "Refused: 400 not understood, 401 not signed in, 403 not allowed, 404 no such "
    "thing, 409 not now, 412 changed meanwhile, 422 senseless, 429 too often (Retry-After), 503 no "
    "database (Retry-After).",
    "headers": {
        "Retry-After": {
            "description": "With 429 and 503: in how many seconds to try again.",
            "schema": {"type": "integer"},
        },
    },
    "content": {
        CONTENT_TYPE: {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": {
                "type": f"{TYPE}changed",
                "title": "Precondition Failed",
                "status": 412,
                "detail": "The town has changed since you saw it. Look at it again, then decide.",
                "instance": "/api/v1/towns/0b6a3c1e-3f0e-4d5c-8a34-6a4f4f1f2d11",
            },
        }
    },
}
SENTENCES = {
    400: "The request can't be understood.",
    401: "Sign in first.",
    403: "That is not allowed. An unsafe request needs its CSRF token.",
    404: "There is nothing at this address.",
    413: "The request is too large.",
    500: "Something went wrong on our side. It is in our log; try again later.",
    503: "The database does not answer, so nothing was done. Try again in a minute.",
}


@dataclass(eq=False)
class Problem(Exception):
    """A refusal. `kind` tells programs apart what `detail` tells people."""

    status: int
    detail: str
    kind: str = ""
    errors: list[dict[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    request_id: str = ""

    def document(self, request: HttpRequest) -> dict[str, Any]:
        """The body of the answer."""
        return self.facts(request.path)

    def facts(self, path: str) -> dict[str, Any]:
        """The body of the answer to a request for that path."""
        body: dict[str, Any] = {
            "type": TYPE + self.kind if self.kind else "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": path,
        }
        more = {"errors": self.errors, "request_id": self.request_id}
        return {**body, **{name: value for name, value in more.items() if value}}


def not_found(what: str = "town") -> Problem:
    """The one answer for what isn't there and for what the caller may not see."""
    return Problem(404, f"There is no such {what}.")


def invalid(name: str, detail: str) -> Problem:
    """A value in the body that can't be."""
    return Problem(422, detail, "invalid", [{"pointer": f"#/{name}", "detail": detail}])


def as_problem(error: Exception) -> Problem:
    """What an error that views raise means to the caller; raises it again if it is none of them."""
    match error:
        case Problem():
            return error
        case NotAllowed():
            return Problem(409, error.reason, "not-allowed")
        case InvalidChange():
            return invalid(error.field, error.message)
        case ValidationError():
            return _invalid_input(error.errors)
        case AuthenticationError():
            return Problem(401, SENTENCES[401])
        case HttpError(__cause__=Problem() as refused):  # the parser's own
            return refused
        case HttpError(status_code=400):  # ninja's, of a body that is no JSON
            return Problem(400, "The body is not valid JSON.", "malformed")
        case HttpError():
            return Problem(error.status_code, SENTENCES.get(error.status_code, error.message))
        case Http404():
            return Problem(404, SENTENCES[404])
    raise error


def problem_response(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The answer to a refused request."""
    response = document_response(problem.document(request))
    for name, value in problem.headers.items():
        response[name] = value
    return response


def document_response(document: dict[str, Any]) -> HttpResponse:
    """The answer with a problem document that was made before."""
    return HttpResponse(json.dumps(document), status=document["status"], content_type=CONTENT_TYPE)


def _invalid_input(errors: list[dict[str, Any]]) -> Problem:
    """Ninja's list of errors; an id in the path that isn't one names nothing."""
    if any(error["loc"][0] == "path" for error in errors):
        return Problem(404, "There is nothing with that id.")
    entries = [_entry(error) for error in errors]
    first = entries[0]
    where = first.get("pointer", first.get("parameter", "")).removeprefix("#/")
    detail = f"{where}: {first['detail']}" if where else first["detail"]
    return Problem(422, detail, "invalid", entries)


def _entry(error: dict[str, Any]) -> dict[str, str]:
    source, *path = (str(part) for part in error["loc"])
    message = _MESSAGES.get(error["type"], error["msg"])
    message = f"{message.removeprefix('Value error, ').rstrip('.')}."
    if source == "body":  # the first part is the view's own name for it
        return {"pointer": "#/" + "/".join(path[1:]), "detail": message}
    return {"parameter": path[-1] if path else source, "detail": message}


_MESSAGES = {
    "extra_forbidden": "There is no such field, or it can't be changed",
    "missing": "This is required",
}
