"""`ETag` and `If-Match`: a change is made only to the town that its caller has seen.

The tag stands for what people decide and what has become of it: status, wish, settings. It does not
change with each check of the town's health, or nobody could ever change anything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
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


def etag_of(town: Town) -> str:
    """The town's tag, in its quotes."""
    values = [str(getattr(town, name)) for name in _FIELDS]
    return f'"{sha256(repr(values).encode()).hexdigest()[:20]}"'


@contextmanager
def matching(request: HttpRequest, town_id: UUID) -> Iterator[None]:
    """Do something to a town only if it is still as `If-Match` says: nobody changes it meanwhile.

    Problem 412 if it isn't. Without the header anything goes.
    """
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        yield
        return
    tags = {tag.strip() for tag in wanted.split(",")}
    with transaction.atomic():
        if etag_of(history.lock_town(town_id)) not in tags:
            told = "The town has changed since you saw it. Look at it again, then decide."
            raise Problem(412, told, "changed")
        yield
