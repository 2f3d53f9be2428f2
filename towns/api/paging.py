"""Keyset pagination: a page costs the same wherever it is, and rows never come twice."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from ninja import Schema
from pydantic import Field

from towns.api.problems import Problem
from towns.api.reading import in_utc

ItemT = TypeVar("ItemT")
ModelT = TypeVar("ModelT", bound=Model)


class Paging(Schema):
    """What every list takes."""

    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=400, description="`next_cursor` of a page before.")


class Page(Schema, Generic[ItemT]):
    """A page, the newest first."""

    items: list[ItemT]
    next_cursor: str | None = Field(description="Where the next page begins; null: that was all.")


@dataclass(frozen=True, slots=True)
class Keyset:
    """The order of a list, newest first: by a time and then by id, or by id alone."""

    id_type: Callable[[str], Any]
    time: str | None = None

    def page(self, rows: QuerySet[ModelT], paging: Paging) -> tuple[list[ModelT], str | None]:
        """The rows of the page, in one statement, and the cursor of the next one."""
        if paging.cursor:
            rows = rows.filter(self._older_than(paging.cursor))
        order = (f"-{self.time}", "-id") if self.time else ("-id",)
        found = list(rows.order_by(*order)[: paging.limit + 1])
        if len(found) <= paging.limit:
            return found, None
        return found[: paging.limit], self._cursor(found[paging.limit - 1])

    def _cursor(self, last: Model) -> str:
        key = [str(last.pk)]
        if self.time:
            key.append(getattr(last, self.time).isoformat())
        return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")

    def _older_than(self, cursor: str) -> Q:
        pk, moment = self._decoded(cursor)
        if moment is None:
            return Q(id__lt=pk)
        # The first part is implied by the second: it is what an index can be entered by.
        return Q(**{f"{self.time}__lte": moment}) & (
            Q(**{f"{self.time}__lt": moment}) | Q(id__lt=pk)
        )

    def _decoded(self, cursor: str) -> tuple[Any, datetime | None]:
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if self.time is None:
                (pk,) = key
                return self._id(pk), None
            pk, text = key
            return self._id(pk), in_utc(datetime.fromisoformat(text))
        except (ValueError, TypeError, RecursionError) as error:
            raise Problem(
                422,
                "That cursor is not one of this list. Begin again without it.",
                "invalid",
                [{"parameter": "cursor", "detail": "It is not one of this list."}],
            ) from error

    def _id(self, text: object) -> Any:
        """An id as `_cursor` wrote it, that a column can hold; else ValueError."""
        if not isinstance(text, str):
            raise ValueError("no text")
        pk = self.id_type(text)
        if isinstance(pk, int) and not 0 <= pk < 2**63:
            raise ValueError("out of range")
        return pk


TOWNS = Keyset(UUID, "created_at")
OPERATIONS = Keyset(UUID, "created_at")
CHECKS = Keyset(int, "checked_at")
WEBHOOKS = Keyset(UUID, "created_at")
WEBHOOK_DELIVERIES = Keyset(int)
BACKUPS = Keyset(int, "created_at")
EVENTS = Keyset(int)
ALERTS = Keyset(int)
