"""What a town may be changed to, for the API, the admin and the commands alike. No I/O."""

import re
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from towns.models.town import validate_name

KEEP_AWAKE_MAX_MINUTES = 7 * 24 * 60
"""Longest "keep awake": who wants it longer switches auto-stop off."""
HOLD_REASON_LENGTH = 200
REASON_LENGTH = 500
_REGION = re.compile(r"\A[a-z]{3}\Z")


class InvalidChange(ValueError):
    """A value that a town can't have: which field, and one sentence that says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class Unset(Enum):
    """The type of a change that nobody asked for; None means "clear it"."""

    UNSET = "unset"


UNSET = Unset.UNSET


def validated_changes(
    *,
    now: datetime,
    idle_timeout_minutes: int | Unset = UNSET,
    auto_stop: bool | Unset = UNSET,
    keep_awake_minutes: int | Unset | None = UNSET,
    keep_awake_until: datetime | Unset | None = UNSET,
    hold_reason: str | Unset | None = UNSET,
    clear_restarts: bool = False,
) -> dict[str, Any]:
    """The changes as `actions.change_town` takes them; only what was asked for is in it.

    `keep_awake_minutes` 0 or None and `keep_awake_until` None end a keep-awake; `hold_reason` None
    or "" releases a hold. Raises InvalidChange for the first value that can't be.
    """
    changes: dict[str, Any] = {}
    if idle_timeout_minutes is not UNSET:
        changes["idle_timeout_minutes"] = validated_idle_timeout(idle_timeout_minutes)
    if auto_stop is not UNSET:
        changes["auto_stop"] = auto_stop
    if keep_awake_minutes is not UNSET and keep_awake_until is not UNSET:
        raise InvalidChange(
            "keep_awake_until", "Give either keep_awake_minutes or keep_awake_until, not both."
        )
    if keep_awake_minutes is not UNSET:
        changes["keep_awake_until"] = _until(keep_awake_minutes, now)
    if keep_awake_until is not UNSET:
        changes["keep_awake_until"] = _validated_until(keep_awake_until, now)
    if hold_reason is not UNSET:
        changes["hold_reason"] = _validated_hold(hold_reason)
    if clear_restarts:
        changes["restarts_cleared_at"] = now
    return changes


def validated_idle_timeout(minutes: int) -> int:
    """An idle timeout inside the limits of the settings; else InvalidChange."""
    least = settings.GASTOWN_IDLE_TIMEOUT_MIN_MINUTES
    most = settings.GASTOWN_IDLE_TIMEOUT_MAX_MINUTES
    if not least <= minutes <= most:
        raise InvalidChange(
            "idle_timeout_minutes",
            f"The idle timeout is {least} to {most} minutes, not {minutes}.",
        )
    return minutes


def validated_name(name: str) -> str:
    """A name that a town can have; else InvalidChange."""
    try:
        validate_name(name)
    except ValidationError as error:
        raise InvalidChange("name", error.messages[0]) from error
    return name


def validated_region(region: str | None) -> str:
    """One of Fly's region codes by its form, or the default region; else InvalidChange."""
    region = region or settings.GASTOWN_FLY_REGION
    if not _REGION.match(region):
        raise InvalidChange("region", "A region is one of Fly's three-letter codes, such as ams.")
    return region


def _until(minutes: int | None, now: datetime) -> datetime | None:
    if not minutes:
        return None
    if not 0 < minutes <= KEEP_AWAKE_MAX_MINUTES:
        raise InvalidChange(
            "keep_awake_minutes",
            f"A town is kept awake for 1 to {KEEP_AWAKE_MAX_MINUTES} minutes, not {minutes}; "
            "0 ends it.",
        )
    return now + timedelta(minutes=minutes)


def _validated_until(until: datetime | None, now: datetime) -> datetime | None:
    if until is None:
        return None
    if until.tzinfo is None:
        raise InvalidChange(
            "keep_awake_until", "Give the time with its offset, such as 2026-02-17T12:00:00Z."
        )
    if until <= now:
        raise InvalidChange("keep_awake_until", "That time is over; null ends a keep-awake.")
    if until > now + timedelta(minutes=KEEP_AWAKE_MAX_MINUTES):
        days = KEEP_AWAKE_MAX_MINUTES // (24 * 60)
        raise InvalidChange("keep_awake_until", f"A town is kept awake for at most {days} days.")
    return until


def _validated_hold(reason: str | None) -> str:
    text = " ".join((reason or "").split())
    if len(text) > HOLD_REASON_LENGTH:
        raise InvalidChange(
            "hold_reason", f"The reason of a hold has at most {HOLD_REASON_LENGTH} characters."
        )
    return text
