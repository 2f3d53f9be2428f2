"""How a request is read: text that no database keeps is refused before any view sees it.

PostgreSQL has no text with a NUL in it, and neither database half a surrogate pair; both would be
refused by the statement, as a crash of ours.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from ninja.parser import Parser
from pydantic import AfterValidator

from towns.api.problems import Problem

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SENTENCE = "It holds a NUL or another character that is no text. Leave it out."


class StrictParser(Parser):
    """Ninja's parser of queries and bodies, which takes only text that can be kept."""

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> dict[str, Any]:
        """The query by name. Raises Problem (422)."""
        for name, values in data.lists():
            if any(_UNSTORABLE.search(text) for text in (name, *values)):
                shown = _UNSTORABLE.sub("?", name)
                raise _refused(shown, {"parameter": shown})
        return super().parse_querydict(data, list_fields, request)

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """The JSON of the body. Raises Problem (422), and ValueError for what is none."""
        document = json.loads(request.body)
        for path, text in _texts(document):
            if _UNSTORABLE.search(text):
                shown = _UNSTORABLE.sub("?", "/".join(path))
                raise _refused(shown, {"pointer": f"#/{shown}"})
        return cast(dict[str, Any], document)


def refuse_odd_head(request: HttpRequest) -> None:
    """Raise Problem when a header or cookie holds what no database keeps, or the body is a form:
    the check of the CSRF token would have read it before the view."""
    for name, value in request.headers.items():
        if _UNSTORABLE.search(value):
            raise Problem(400, f"{name}: {_SENTENCE}", "malformed")
    for name, value in request.COOKIES.items():  # a quoted one may hold escapes
        if _UNSTORABLE.search(name + value):
            raise Problem(400, f"A cookie is no text: {_SENTENCE}", "malformed")
    if request.content_type == "multipart/form-data":
        raise Problem(415, "A body is JSON here: send it as application/json.", "malformed")


def in_utc(moment: datetime) -> datetime:
    """The time in UTC. Raises ValueError without an offset, and beyond the years 1 to 9999."""
    if moment.tzinfo is None:
        raise ValueError("Give the time with its offset, such as 2026-02-17T12:00:00Z.")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("No calendar has that time.") from None


Moment = Annotated[datetime, AfterValidator(in_utc)]
"""A time in a request."""


def _texts(document: object) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every name and text in a document and where it is; a list, since it may be nested deeply."""
    left: list[tuple[tuple[str, ...], object]] = [((), document)]
    while left:
        path, value = left.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            yield from (((*path, name), name) for name in value)
            left += [((*path, name), inner) for name, inner in value.items()]
        elif isinstance(value, list):
            left += [((*path, str(number)), inner) for number, inner in enumerate(value)]


def _refused(where: str, entry: dict[str, str]) -> Problem:
    detail = f"{where}: {_SENTENCE}" if where else _SENTENCE
    return Problem(422, detail, "invalid", [{**entry, "detail": _SENTENCE}])
