"""From Fly's answers to our typed errors: the one table (fly.md, "Errors")."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .errors import (
    CapacityError,
    Conflict,
    Misconfigured,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)
from .limits import LONGEST_WAIT

CAPACITY_CODES = frozenset({400, 409, 412, 422})
CAPACITY_STATUSES = frozenset({"insufficient_capacity", "volume_placement_capacity"})
CAPACITY_TEXTS = (
    "insufficient resources",
    "insufficient memory",
    "insufficient cpu",
    "insufficient capacity",
    "could not reserve resource",
    "no capacity",
)
_EXISTING = re.compile(r"machine ID (\w+) already exists", re.IGNORECASE)
_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer other than 200, as far as it could be read.

    `text` is None when the body is not Fly's JSON error: somebody in between may have answered.
    """

    code: int
    text: str | None
    status: str = ""
    retry_after: str = ""
    request_id: str = ""


def read_refusal(
    code: int, body: bytes, *, retry_after: str, request_id: str, secrets: Iterable[str]
) -> Refusal:
    """Read Fly's `{"error": text, "status": code}`. None of the secrets stays in its text."""
    text, status = None, ""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and isinstance(document.get("error"), str):
        text = _without(secrets, document["error"])[:_LONGEST_TEXT]
        status = document["status"] if isinstance(document.get("status"), str) else ""
    return Refusal(code, text, status, retry_after, request_id)


def error_of(refusal: Refusal, doing: str, *, now: datetime) -> ServiceError:
    """The error for an answer. A 404 is not decided here: only the app tells what it means.

    `doing` says what was asked, as in "create machine gastown-1".
    """
    code = refusal.code
    said = _said(refusal, doing)
    if is_capacity(refusal):
        return CapacityError(said)
    match code:
        case 401:
            return _token_refused(said)
        case 403:
            if "quota" in (refusal.text or "").lower():
                return Rejected(
                    f"{said} The organisation's quota at Fly is used up: have Fly raise it, or "
                    "take another region."
                )
            return _token_refused(said)
        case 408:
            return Unavailable(said)
        case 409 | 412:
            return Conflict(said, existing_id=_existing_id(refusal))
        case 429:
            return RateLimited(said, retry_after=_seconds(refusal.retry_after, now))
        case _ if 400 <= code < 500:
            return Rejected(said)
        case _:
            return Unavailable(said)


def is_capacity(refusal: Refusal) -> bool:
    """Whether Fly has no room: told by code and status or text, never by the code alone."""
    if refusal.text is None or refusal.code not in CAPACITY_CODES:
        return False
    text = refusal.text.lower()
    return refusal.status in CAPACITY_STATUSES or any(part in text for part in CAPACITY_TEXTS)


def unknown_app(app: str) -> Misconfigured:
    """Fly knows no such app: our mistake, and never a town's loss."""
    return Misconfigured(
        f"Fly has no app “{app}” that the token may see. "
        "Set GASTOWN_FLY_APP_NAME to the app's name and check the token's organisation."
    )


def guessed_app(doing: str, app: str) -> Rejected:
    """It isn't in the app that was asked, which may be the wrong one of several."""
    return Rejected(
        f"Fly answered 404 to “{doing}” in app {app}, which proves nothing: which of the apps of "
        "GASTOWN_FLY_APP_NAME it is in was never recorded. Name the app of before among them; the "
        "next reconcile sweep records where it is."
    )


def unset(setting: str, meaning: str) -> Misconfigured:
    """A setting that is needed to ask Fly at all is empty."""
    return Misconfigured(f"{setting} is not set. Set it to {meaning}.")


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    return text


def _token_refused(said: str) -> Misconfigured:
    return Misconfigured(
        f"{said} Set GASTOWN_FLY_API_TOKEN to a valid deploy token of the app "
        "(`fly tokens create deploy`)."
    )


def _said(refusal: Refusal, doing: str) -> str:
    text = "" if refusal.text is None else f": {refusal.text.rstrip('.')}"
    request = f", request {refusal.request_id}" if refusal.request_id else ""
    return f"Fly answered {refusal.code} to “{doing}”{text}{request}."


def _existing_id(refusal: Refusal) -> str | None:
    found = _EXISTING.search(refusal.text or "")
    return found.group(1) if found else None


def _seconds(retry_after: str, now: datetime) -> float:
    """Retry-After is seconds or a date; without a sensible one a second is waited."""
    if retry_after.strip().isdecimal():
        return min(max(float(retry_after), 1.0), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return 1.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 1.0), LONGEST_WAIT)
