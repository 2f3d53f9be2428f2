"""What every request under /api/ goes through."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from towns.api.problems import CONTENT_TYPE, SENTENCES, Problem, problem_response
from towns.api.rates import tell_policy
from towns.api.reading import refuse_odd_head
from towns.logs import REQUEST_KEY

PREFIX = "/api/"


class ProblemMiddleware:
    """Refuses heads that can't be read, and turns whatever else fails under /api/ (no such host,
    path or method, CSRF, a crash) into a problem.

    Django's own answers are HTML, with settings and a traceback when DEBUG is on.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(PREFIX):
            return self._get_response(request)
        try:
            refuse_odd_head(request)
        except Problem as problem:
            return problem_response(request, problem)
        response = self._get_response(request)
        tell_policy(request, response)
        if response.status_code >= 400 and response.get("Content-Type") != CONTENT_TYPE:
            response = _translated(request, response)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response


def _logged(request: HttpRequest, status: int) -> str:
    """The id by which our log is searched for what went wrong on our side."""
    return request.META.get(REQUEST_KEY, "") if status >= 500 else ""


def _translated(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    status = response.status_code
    sentence = SENTENCES.get(status, HTTPStatus(status).phrase + ".")
    if status == 405:
        allowed = ", ".join(sorted(response["Allow"].split(", ")))
        sentence = f"{request.method} is not possible here, only {allowed}."
    translated = problem_response(
        request, Problem(status, sentence, request_id=_logged(request, status))
    )
    translated.cookies = response.cookies
    translated["Content-Length"] = str(len(translated.content))
    for name, value in response.headers.items():
        translated.headers.setdefault(name, value)
    return translated
