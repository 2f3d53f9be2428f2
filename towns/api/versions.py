"""`ETag` and `If-Match`: a change is made only to the town that its caller has seen.

A tag has two parts. The first, the version, stands for what people decide and what has become of
it: status, wish, settings. `If-Match` compares it alone: it does not change with each check of the
town's health, or nobody could ever change anything. The second stands for the whole document, so
that `If-None-Match` answers 304 only where nothing at all would be told anew.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest

from towns import history
from towns.api.problems import Problem
from towns.models import Town

_FIELDS = (
    "status_event_id",
    "status",
    "desired_state",
    "idle_timeout_minutes",
    "auto_stop",
    "keep_awake_until",
    "hold_reason",
    "hold_until",
    "restarts_cleared_at",
)


def etag_of(town: Town, document: dict[str, Any]) -> str:
    """The tag of a town that is shown as `document`, in its quotes."""
    return f'"{_version(town)}-{_digest(json.dumps(document, sort_keys=True, default=str))}"'


def is_known(request: HttpRequest, tag: str) -> bool:
    """Whether the caller has just this already, as `If-None-Match` says."""
    known = request.headers.get("If-None-Match", "")
    return tag in {one.strip().removeprefix("W/") for one in known.split(",")}


def _version(town: Town) -> str:
    return _digest(repr([str(getattr(town, name)) for name in _FIELDS]))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


@contextmanager
def matching(request: HttpRequest, town_id: UUID) -> Iterator[None]:
    """Do something to a town only if it is still as `If-Match` says: nobody changes it meanwhile.

    Problem 412 if it isn't. Without the header anything goes.
    """
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        yield
        return
    versions = {tag.strip().partition("-")[0] for tag in wanted.split(",")}
    with transaction.atomic():
        if f'"{_version(history.lock_town(town_id))}' not in versions:
            told = "The town has changed since you saw it. Look at it again, then decide."
            raise Problem(412, told, "changed")
        yield
