"""Pieces of pages: tags, moments, documents."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from towns.models import Drill, Operation, Town
from towns.readable import ago, utc
from towns.words import CheckResult, OperationState, Status

NOTHING = "-"
_TONES: dict[str, str] = {
    Status.RUNNING: "good",
    Status.UNHEALTHY: "bad",
    Status.ERROR: "bad",
    Status.STOPPED: "quiet",
    Status.DESTROYED: "quiet",
    CheckResult.OK: "good",
    CheckResult.FAILED: "bad",
    CheckResult.UNKNOWN: "warn",
    OperationState.SUCCEEDED: "good",
    OperationState.SUPERSEDED: "quiet",
    OperationState.OPEN: "busy",
    Drill.Result.CORRUPT: "bad",
    Drill.Result.INCONCLUSIVE: "quiet",
    "stale": "warn",
    "critical": "bad",
    "warning": "warn",
    "sent": "good",
    "skipped": "quiet",
    "cancelled": "quiet",
    "given_up": "bad",
    "quiet": "quiet",
}


def tone(word: str) -> str:
    """How a status, result or severity looks: good, bad, warn, quiet or busy."""
    return _TONES.get(word, "busy")


def tag(word: str, text: str = "") -> SafeString:
    """A coloured tag for a status, result or severity; `text` where it isn't the word itself."""
    return format_html('<span class="ops-tag ops-{}">{}</span>', tone(word), text or word)


def when(moment: datetime | None, now: datetime) -> SafeString | str:
    """A moment as people count it, with the exact time in its tooltip."""
    if moment is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        utc(moment),
        ago(moment, now),
    )


def copyable(text: str) -> SafeString | str:
    """An id or address that one click selects as a whole."""
    return format_html('<code class="ops-copy">{}</code>', text) if text else NOTHING


def exact(name: str, description: str = "") -> Any:
    """A read-only field for the moment `name`: to the second and with its zone.

    A callable, which Django takes among the fields of a page and its stubs do not: hence Any.
    """

    @admin.display(description=description or name.replace("_", " "))
    def show(row: Any) -> str:
        return utc(getattr(row, name))

    show.__name__ = name
    return show


def town_link(town: Town) -> SafeString:
    """A town's name, leading to its page. The owner has to be read with the town."""
    return format_html(
        '<a href="{}">{}</a>', reverse("admin:towns_town_change", args=[town.pk]), town
    )


def operation_link(operation: Operation | None) -> SafeString | str:
    """An operation's kind and step, leading to its page."""
    if operation is None:
        return NOTHING
    text = f"{operation.kind}: {operation.step}" if operation.is_open else operation.kind
    return format_html(
        '<a href="{}">{}</a>',
        reverse("admin:towns_operation_change", args=[operation.pk]),
        text.replace("_", " "),
    )


def table(name: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> SafeString:
    """A table among the fields of a page; the keyboard scrolls it too, so it has a name."""
    return format_html(
        '<div class="ops-scroll" tabindex="0" role="region" aria-label="{}">'
        '<table class="ops-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        name,
        format_html_join("", '<th scope="col">{}</th>', ((head,) for head in heads)),
        format_html_join(
            "",
            "<tr>{}</tr>",
            ((format_html_join("", "<td>{}</td>", ((cell,) for cell in row)),) for row in rows),
        ),
    )


def facts(document: dict[str, Any] | None) -> SafeString | str:
    """A flat document as `name: value` lines."""
    if not document:
        return NOTHING
    return format_html(
        '<ul class="ops-facts">{}</ul>',
        format_html_join(
            "", "<li><b>{}</b> {}</li>", ((name, _plain(value)) for name, value in document.items())
        ),
    )


def _plain(value: Any) -> str:
    if isinstance(value, dict) and not any(isinstance(one, dict | list) for one in value.values()):
        return ", ".join(f"{name} {_plain(one)}" for name, one in sorted(value.items()))
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
