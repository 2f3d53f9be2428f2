"""Log lines that say which town and operation they are about, as text or as JSON.

What is about a town is logged inside `about(town=…, operation=…)`, wherever the call is made.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_about: ContextVar[dict[str, str]] = ContextVar("about", default={})  # noqa: B039  (never changed)


@contextmanager
def about(**ids: object) -> Iterator[None]:
    """Add ids to whatever is logged inside the block."""
    token = _about.set({**_about.get(), **{name: str(value) for name, value in ids.items()}})
    try:
        yield
    finally:
        _about.reset(token)


class AddIds(logging.Filter):
    """Gives each record the ids that it is about: as fields, and as `ids` for a line of text."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        ids = _about.get()
        for name, value in ids.items():
            if not hasattr(record, name):
                setattr(record, name, value)
        record.ids = "".join(f" {name}={value}" for name, value in ids.items())
        return True


def logging_settings(*, level: str, form: str) -> dict[str, Any]:
    """Django's LOGGING: to stderr, a line or a JSON document a record."""
    fields = {"asctime": "time", "levelname": "level", "name": "logger"}
    formatters: dict[str, Any] = {
        "line": {"format": "{asctime} {levelname} {name}{ids} {message}", "style": "{"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "{asctime}{levelname}{name}{message}",
            "style": "{",
            "rename_fields": fields,
            "reserved_attrs": [*_reserved(), "ids", "request", "status_code", "taskName"],
        },
    }
    handler = {"class": "logging.StreamHandler", "formatter": form, "filters": ["ids"]}
    # These tell whole addresses at DEBUG, and those of webhooks hold secrets.
    quiet = "INFO" if level == "DEBUG" else level
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"ids": {"()": AddIds}},
        "formatters": formatters,
        "handlers": {"stderr": handler},
        "loggers": {name: {"level": quiet} for name in ("urllib3", "botocore", "boto3")},
        "root": {"handlers": ["stderr"], "level": level},
    }


def _reserved() -> list[str]:
    """The attributes that every record has."""
    return list(vars(logging.makeLogRecord({})))
