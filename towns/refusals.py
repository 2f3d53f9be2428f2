"""What a refusal says on a page: why, and what to do. The API has its own (`towns.api.problems`).

The pages need no database, so that they can tell that there is none.
"""

import sys
from collections.abc import Callable

from django.core.exceptions import DisallowedHost, PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.template.loader import render_to_string
from django.urls import Resolver404

from towns.logs import REQUEST_KEY

RETRY_SECONDS = 30
_DJANGO_S = "matches the given query"


def refused(
    status: int,
    title: str,
    why: str,
    what: str,
    request: HttpRequest | None = None,
    *,
    request_id: str = "",
) -> HttpResponse:
    """The page; given the request, it tells who is signed in, for which it asks the database."""
    context = {"status": status, "title": title, "why": why, "what": what, "request_id": request_id}
    return HttpResponse(render_to_string("refused.html", context, request), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: what was sent can't be understood."""
    if isinstance(exception, DisallowedHost):
        return refused(
            400,
            "Not under this name",
            "This server does not answer under the name that you came by.",
            "Use its proper address. If this is it, an administrator adds it to ALLOWED_HOSTS.",
        )
    return refused(
        400,
        "That makes no sense here",
        "Something in the address or in the form is not as our pages send it.",
        "Go back to the page that you came from, and choose again there.",
    )


def forbidden(request: HttpRequest, exception: PermissionDenied) -> HttpResponse:
    """403: who is signed in lacks a permission."""
    return refused(
        403,
        "Your account may not do this",
        str(exception) or "It lacks the permission that this needs.",
        "Ask an administrator for it, or for a group that has it: Viewer, Operator or Admin. If "
        "you have another account that may, sign out and sign in with that.",
        request,
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403: a form that we did not give to this browser, or that is too old (CSRF_FAILURE_VIEW)."""
    why = "It is too old, or you have signed in or out since, or it came from another site."
    what = "Nothing was done. Go back, load the page anew, and send it once more."
    if reason == REASON_NO_CSRF_COOKIE:
        why = "Your browser did not send our cookie with it."
        what = "Nothing was done. Allow cookies of this site, load the page anew, send it again."
    return refused(403, "The form was not taken", why, what)


def not_found(request: HttpRequest, exception: Http404 | None = None) -> HttpResponse:
    """404: there is no such thing, or none that the caller may see."""
    told = "" if isinstance(exception, Resolver404) else str(exception or "")
    why = "There is nothing at this address, or nothing that your account may see."
    return refused(
        404,
        "Not found",
        why if not told or _DJANGO_S in told else told,
        "It may be gone, or the address has a slip. Look for it from the front page.",
    )


def not_possible(request: HttpRequest, allowed: str) -> HttpResponse:
    """405: the address is for forms, or for looking alone."""
    return refused(
        405,
        "Not in this way",
        f"This address takes no {request.method}, only {allowed}. Nothing was done.",
        "It belongs to a button of a page: go back to the page, and use that.",
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """503 if the database does not answer, else 500; called while the error is handled. Both tell
    the id by which our log knows the request."""
    request_id = request.META.get(REQUEST_KEY, "")
    if isinstance(sys.exception(), OperationalError | InterfaceError):
        answer = refused(
            503,
            "The database does not answer",
            "Nothing can be looked up or saved just now. Towns go on as they are.",
            "Try again in a minute. If it stays so, an administrator looks at the database, and at "
            "/readyz.",
            request_id=request_id,
        )
        answer["Retry-After"] = str(RETRY_SECONDS)
        return answer
    return refused(
        500,
        "Something went wrong on our side",
        "It is in our log, with the time. What you asked for may not have been done.",
        "Look whether it was, then try again. If it fails again, tell an administrator the number "
        "of the request.",
        request_id=request_id,
    )


class RefusalMiddleware:
    """Gives a page to refusals that have none, such as Django's 405."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if response.status_code < 400 or not isinstance(response, HttpResponse) or response.content:
            return response
        if response.status_code == 405:
            told = not_possible(request, response["Allow"])
        elif response.status_code == 404:
            told = not_found(request)
        else:
            return response
        for name, value in response.headers.items():
            told.headers.setdefault(name, value)
        return told
