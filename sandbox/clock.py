"""Times: UTC everywhere, ISO 8601 for people and JSON, compact stamps for snapshot names."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_STAMP = "%Y%m%dT%H%M%SZ"
_STAMP_SHAPE = re.compile(r"\d{8}T\d{6}Z")


def now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def iso(moment: datetime | None) -> str | None:
    """`2026-02-17T12:00:00Z`; fractions of a second are cut off."""
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def parse_iso(text: object) -> datetime | None:
    """A time as gastown (Go) writes it. None if it isn't one, or is Go's zero time."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None or moment.year < 1970:
        return None
    return moment.astimezone(UTC)


def stamp(moment: datetime) -> str:
    """The name of a snapshot made at that moment: `20260217T120000Z`."""
    return moment.astimezone(UTC).strftime(_STAMP)


def parse_stamp(text: object) -> datetime | None:
    """The moment that a snapshot's name tells, or None if it is no such name."""
    if not isinstance(text, str) or not _STAMP_SHAPE.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def next_stamp(moment: datetime, taken: Iterable[str]) -> str:
    """A name that is greater than every one in `taken`: now, or a second after the newest.

    Two syncs within a second, and a predecessor whose clock was ahead, still give names in order.
    """
    newest = max((known for name in taken if (known := parse_stamp(name))), default=None)
    if newest is None or moment.replace(microsecond=0) > newest:
        return stamp(moment)
    return stamp(newest + timedelta(seconds=1))
