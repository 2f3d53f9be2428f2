"""`ETag` and `If-Match`: a change is made only to the town, or webhook, that its caller has seen.

A tag has two parts. The first, the version, stands for what people decide and what has become of
it: status, wish, settings. `If-Match` compares it alone: it does not change with each check of a
town's health or each delivery, or nobody could ever change anything. The second stands for the
whole document, so that `If-None-Match` answers 304 only where nothing at all would be told anew.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest

from towns import history
from towns.api.problems import Problem, not_found
from towns.models import Town, WebhookEndpoint
from towns.webhooks.endpoints import standing

_FIELDS = {
    Town: (
        "status_event_id",
        "status",
        "desired_state",
        "idle_timeout_minutes",
        "auto_stop",
        "keep_awake_until",
        "hold_reason",
        "hold_until",
        "restarts_cleared_at",
    ),
    WebhookEndpoint: ("name", "url", "kinds", "enabled", "disabled_at", "secret_version"),
}


def etag_of(row: Town | WebhookEndpoint, document: dict[str, Any]) -> str:
    """The tag of a town or webhook that is shown as `document`, in its quotes."""
    return f'"{_version(row)}-{_digest(json.dumps(document, sort_keys=True, default=str))}"'


def is_known(request: HttpRequest, tag: str) -> bool:
    """Whether the caller has just this already, as `If-None-Match` says."""
    known = request.headers.get("If-None-Match", "")
    return tag in {one.strip().removeprefix("W/") for one in known.split(",")}


def _version(row: Town | WebhookEndpoint) -> str:
    return _digest(repr([str(getattr(row, name)) for name in _FIELDS[type(row)]]))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def matching(request: HttpRequest, town_id: UUID) -> AbstractContextManager[None]:
    """Do something to a town only if it is still as `If-Match` says: nobody changes it meanwhile.

    Problem 412 if it isn't. Without the header anything goes.
    """
    return _matching(request, "town", partial(history.lock_town, town_id))


def matching_webhook(request: HttpRequest, pk: UUID) -> AbstractContextManager[None]:
    """The same with a webhook; Problem 404 if it is removed meanwhile."""

    def lock() -> WebhookEndpoint:
        found = standing().select_for_update().filter(pk=pk).first()
        if found is None:
            raise not_found("webhook")
        return found

    return _matching(request, "webhook", lock)


@contextmanager
def _matching(
    request: HttpRequest, noun: str, lock: Callable[[], Town | WebhookEndpoint]
) -> Iterator[None]:
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        yield
        return
    versions = {tag.strip().partition("-")[0] for tag in wanted.split(",")}
    with transaction.atomic():
        if f'"{_version(lock())}' not in versions:
            told = f"The {noun} has changed since you saw it. Look at it again, then decide."
            raise Problem(412, told, "changed")
        yield
