"""Careful readers for JSON that others wrote: the value if it is of the type, else None."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

INT32 = 2**31 - 1
INT64 = 2**63 - 1


def mapping(value: object) -> Mapping[str, Any]:
    """The JSON object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """The JSON array, or an empty one."""
    return value if isinstance(value, list) else []


def text(value: object, longest: int = 200) -> str | None:
    """A non-empty string that a database can keep, cut to `longest` characters."""
    if not isinstance(value, str) or not value or "\0" in value:
        return None
    cut = value[:longest]
    return cut if cut.isascii() or _is_unicode(cut) else None


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def flag(value: object) -> bool | None:
    """A boolean."""
    return value if isinstance(value, bool) else None


def count(value: object, largest: int = INT64) -> int | None:
    """A whole number from 0 to `largest`."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= largest else None


def number(value: object) -> float | None:
    """A finite number that isn't negative."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int) and value > INT64:
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def moment(value: object) -> datetime | None:
    """An ISO 8601 time with its offset, as aware UTC. Without an offset it is not known."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return None if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def milliseconds(value: object) -> datetime | None:
    """A time given as milliseconds since 1970, as aware UTC."""
    since = number(value)
    if since is None:
        return None
    try:
        return datetime.fromtimestamp(since / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
