"""Log lines that say which town, operation, sweep or request they are about, as text or as JSON.

What is about a town is logged inside `about(town=…, operation=…)`, wherever the call is made.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

REQUEST_ID = "request_id"
REQUEST_KEY = "gastown.request_id"
"""Where a request's META holds its id."""
_about: ContextVar[dict[str, str]] = ContextVar("about", default={})  # noqa: B039  (never changed)


@contextmanager
def about(**ids: object) -> Iterator[None]:
    """Add ids to whatever is logged inside the block."""
    token = _about.set({**_about.get(), **{name: str(value) for name, value in ids.items()}})
    try:
        yield
    finally:
        _about.reset(token)


def add_about(**ids: object) -> None:
    """Add ids for the rest of the block that this is called in. Not to be used outside of one: they
    would stay."""
    _about.set({**_about.get(), **{name: str(value) for name, value in ids.items()}})


class AddIds(logging.Filter):
    """Gives each record the ids that it is about: as fields, and as `ids` for a line of text."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        ids = {**_of_request(record), **_about.get()}
        for name, value in ids.items():
            if not hasattr(record, name):
                setattr(record, name, value)
        record.ids = "".join(f" {name}={value}" for name, value in ids.items())
        return True


def _of_request(record: logging.LogRecord) -> dict[str, str]:
    """Django tells of a refused request when all middleware, and its block, is behind it."""
    known = getattr(getattr(record, "request", None), "META", {}).get(REQUEST_KEY)
    return {REQUEST_ID: known} if known else {}


class JsonLines(JsonFormatter):
    """A JSON document a record; times are ISO 8601 in UTC, with milliseconds."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """As 2026-01-31T12:00:00.123Z."""
        at = datetime.fromtimestamp(record.created, UTC)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def logging_settings(*, level: str, form: str) -> dict[str, Any]:
    """Django's LOGGING: to stderr, a line or a JSON document a record."""
    fields = {"asctime": "time", "levelname": "level", "name": "logger"}
    formatters: dict[str, Any] = {
        "line": {"format": "{asctime} {levelname} {name}{ids} {message}", "style": "{"},
        "json": {
            "()": JsonLines,
            "fmt": "{asctime}{levelname}{name}{message}",
            "style": "{",
            "rename_fields": fields,
            "reserved_attrs": [*_reserved(), *_KNOWN_EXTRAS],
        },
    }
    handler = {"class": "logging.StreamHandler", "formatter": form, "filters": ["ids"]}
    quiet = "INFO" if level == "DEBUG" else level
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"ids": {"()": AddIds}},
        "formatters": formatters,
        "handlers": {"stderr": handler},
        "loggers": {**_LOGGERS, **{name: {"level": quiet} for name in _TELL_ADDRESSES}},
        "root": {"handlers": ["stderr"], "level": level},
    }


_ours: dict[str, Any] = {"handlers": [], "propagate": True}
_LOGGERS = {
    "django": _ours,
    "uvicorn": _ours,
    "uvicorn.error": _ours,
    "uvicorn.access": {**_ours, "level": "WARNING"},  # `request_log` tells of each request
    "gunicorn.error": _ours,
}
"""Those of Django and of the servers have handlers when they load us: theirs are lines of text."""
_TELL_ADDRESSES = ("urllib3", "botocore", "boto3")
"""These tell whole addresses at DEBUG, and those of webhooks hold secrets."""
_KNOWN_EXTRAS = ("ids", "request", "status_code", "taskName", "color_message")
"""What others add to their records, and nobody needs."""


def _reserved() -> list[str]:
    """The attributes that every record has."""
    return list(vars(logging.makeLogRecord({})))
