"""What a town may be changed to, for the API, the admin and the commands alike. No I/O."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError

from towns.models.town import Town, validate_name
from towns.readable import duration, utc
from towns.words import Status

KEEP_AWAKE_MAX_MINUTES = 7 * 24 * 60
"""Longest "keep awake": who wants it longer switches auto-stop off."""
HOLD_REASON_LENGTH = 200
HOLD_MAX_MINUTES = 90 * 24 * 60
"""Longest hold with an end: who wants it longer leaves the end out."""
WINDOW_MAX_MINUTES = 30 * 24 * 60
WINDOW_AHEAD_MINUTES = 366 * 24 * 60
IMAGE_LENGTH = 255
FREEZE_MAX_MINUTES = 30 * 24 * 60
REASON_LENGTH = 500
_HOLD = frozenset({"hold_reason", "hold_until"})
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


def why_unchangeable(town: Town, names: Iterable[str], now: datetime) -> str:
    """Why what is named can't be changed of a town, in a sentence; "" if it can. A hold can always
    be put on it: it is there when the town is restored."""
    if _HOLD.issuperset(names):
        return ""
    until = town.restore_until
    if town.status == Status.DESTROYING:
        return f"{town} is being destroyed, so nothing but a hold can be changed. Restore it first."
    if town.status != Status.DESTROYED or until is None:
        return ""
    if until <= now:
        expired = f"its backup expired on {utc(until)}."
        return f"{town} is destroyed and can't be restored any more: {expired}"
    left = duration((until - now).total_seconds())
    told = f"{town} is destroyed, so nothing but a hold can be changed."
    return f"{told} Restore it first: that can be done for {left}."


def validated_changes(
    *,
    now: datetime,
    idle_timeout_minutes: int | Unset = UNSET,
    auto_stop: bool | Unset = UNSET,
    keep_awake_minutes: int | Unset | None = UNSET,
    keep_awake_until: datetime | Unset | None = UNSET,
    hold_reason: str | Unset | None = UNSET,
    hold_minutes: int | Unset | None = UNSET,
    hold_until: datetime | Unset | None = UNSET,
    clear_restarts: bool = False,
) -> dict[str, Any]:
    """The changes as `actions.change_town` takes them; only what was asked for is in it.

    `keep_awake_minutes` 0 or None and `keep_awake_until` None end a keep-awake; `hold_reason` None
    or "" releases a hold. A hold that is given without an end stands until it is released; who
    changes its end gives its reason along. Raises InvalidChange for the first value that can't be.
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
        changes["keep_awake_until"] = _validated_until(
            keep_awake_until,
            now,
            "keep_awake_until",
            "A town is kept awake",
            KEEP_AWAKE_MAX_MINUTES,
        )
    changes |= _hold_changes(now, hold_reason, hold_minutes, hold_until)
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


def validated_scope(scope: str) -> str:
    """What a maintenance window is about: fleet, region:ams, image:… or town: and an id; else
    InvalidChange. Whether there is such a town the caller has seen to."""
    kind, _, name = scope.strip().partition(":")
    ok = (
        (kind == "fleet" and not name)
        or (kind == "region" and _REGION.match(name))
        or (kind == "image" and 0 < len(name) <= IMAGE_LENGTH)
        or (kind == "town" and _is_uuid(name))
    )
    if not ok:
        raise InvalidChange(
            "scope", "A scope is fleet, region:ams, image:registry/town:1 or town:OWNER/NAME."
        )
    return scope.strip()


def validated_window(
    *, scope: str, since: datetime | None, until: datetime | None, reason: str, now: datetime
) -> dict[str, Any]:
    """A maintenance window as `automation.plan_window` takes it; it begins now unless `since` says
    otherwise. Raises InvalidChange for the first value that can't be."""
    begins = since or now
    if begins.tzinfo is None:
        raise InvalidChange("since", "Give the time with its offset, such as 2026-02-17T12:00:00Z.")
    if until is None:
        raise InvalidChange("until", "A maintenance window has an end: give until, or minutes.")
    if begins > now + timedelta(minutes=WINDOW_AHEAD_MINUTES):
        days = WINDOW_AHEAD_MINUTES // (24 * 60)
        raise InvalidChange("since", f"A maintenance window is planned at most {days} days ahead.")
    _validated_until(until, now, "until", "It lasts", WINDOW_AHEAD_MINUTES + WINDOW_MAX_MINUTES)
    if until <= begins:
        raise InvalidChange("until", "A maintenance window ends after it begins.")
    if until - begins > timedelta(minutes=WINDOW_MAX_MINUTES):
        days = WINDOW_MAX_MINUTES // (24 * 60)
        raise InvalidChange("until", f"A maintenance window lasts at most {days} days.")
    return {
        "scope": validated_scope(scope),
        "since": begins,
        "until": until,
        "reason": validated_reason(reason),
    }


def validated_reason(reason: str) -> str:
    """A reason that says something, in one line; else InvalidChange."""
    text = " ".join(reason.split())
    if not 0 < len(text) <= REASON_LENGTH:
        raise InvalidChange("reason", f"Give a reason of 1 to {REASON_LENGTH} characters.")
    return text


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def validated_minutes(minutes: int | None, now: datetime, field: str, most: int) -> datetime | None:
    """The moment in so many minutes; None for None. InvalidChange unless 1 to `most`."""
    if minutes is None:
        return None
    if not 0 < minutes <= most:
        raise InvalidChange(field, f"{field} is a number from 1 to {most}, not {minutes}.")
    return now + timedelta(minutes=minutes)


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


def _validated_until(
    until: datetime | None, now: datetime, field: str, what: str, most: int
) -> datetime | None:
    if until is None:
        return None
    if until.tzinfo is None:
        raise InvalidChange(field, "Give the time with its offset, such as 2026-02-17T12:00:00Z.")
    if until <= now:
        raise InvalidChange(field, "That time is over; give a later one, or null for none.")
    if until > now + timedelta(minutes=most):
        raise InvalidChange(field, f"{what} for at most {most // (24 * 60)} days.")
    return until


def _hold_changes(
    now: datetime,
    reason: str | Unset | None,
    minutes: int | Unset | None,
    until: datetime | Unset | None,
) -> dict[str, Any]:
    if minutes is not UNSET and until is not UNSET:
        raise InvalidChange("hold_until", "Give either hold_minutes or hold_until, not both.")
    ends = None if until is UNSET else until
    if ends is not None:
        ends = _validated_until(ends, now, "hold_until", "A town is held", HOLD_MAX_MINUTES)
    if minutes is not UNSET:
        ends = validated_minutes(minutes, now, "hold_minutes", HOLD_MAX_MINUTES)
    if reason is UNSET:
        if ends is not None:
            raise InvalidChange("hold_until", "A hold needs its reason: give hold_reason too.")
        return {} if until is UNSET and minutes is UNSET else {"hold_until": None}
    text = _validated_hold(reason)
    if ends is not None and not text:
        raise InvalidChange("hold_until", "A hold needs its reason: give hold_reason too.")
    return {"hold_reason": text, "hold_until": ends}


def _validated_hold(reason: str | None) -> str:
    text = " ".join((reason or "").split())
    if len(text) > HOLD_REASON_LENGTH:
        raise InvalidChange(
            "hold_reason", f"The reason of a hold has at most {HOLD_REASON_LENGTH} characters."
        )
    return text
