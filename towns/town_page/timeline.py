"""All that happened to a town in one line of time: events, steps, checks, alerts. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from towns.models import Alert, LifecycleEvent, Operation
from towns.town_page.past import CHECKS_TOLD, ROWS, Past, Sample
from towns.town_page.under_way import progress
from towns.words import CheckResult, OperationState

MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line; `tone` and `word` make its tag, `who` is empty for what nobody did."""

    at: datetime
    word: str
    tone: str
    text: str
    who: str = ""
    operation: UUID | None = None


def timeline(past: Past, *, rows: int = ROWS) -> tuple[list[Entry], datetime | None]:
    """The entries, newest first, and the moment before which the older page begins: None when all
    is told.

    A page ends between two moments, so that nothing is missing and nothing is told twice: it
    reaches no further back than each source was read, and what happened at one moment stays
    together. A run of checks that goes on beyond the page is told in two parts.
    """
    cut = _read_down_to(past)
    shown = _after(past, cut)
    if len(shown) > rows:
        cut = shown[rows].at
        shown = _after(past, cut)
    if cut is None:
        return shown, None
    if shown:
        return shown, cut + MOMENT
    return _after(past, cut - MOMENT), cut  # a page of one moment


def under_way(operation: Operation, now: datetime) -> Entry:
    """The step that an operation is at, which stands above all that is done."""
    text = progress(operation, now).told(now)
    who = _who(operation.actor, operation.automatic)
    return Entry(now, "under way", OperationState.OPEN, text, who, operation.pk)


def folded(checks: Sequence[Sample]) -> Iterator[Entry]:
    """Checks, newest first: each failure is an entry, and so is a run of the same other result for
    the same reason, which lies where the run began."""
    run: list[Sample] = []
    for one in checks:
        if run and not _goes_on(run[-1], one):
            yield _run(run)
            run = []
        run.append(one)
    if run:
        yield _run(run)


def _read_down_to(past: Past) -> datetime | None:
    """The moment from which on some source may lack something; None when all was read."""
    sources = (
        ([one.at for one in past.events], ROWS),
        ([one.opened_at for one in past.opened], ROWS),
        ([one.resolved_at for one in past.resolved if one.resolved_at], ROWS),
        ([one.created_at for one in past.operations], ROWS),
        ([one.at for one in past.checks], CHECKS_TOLD),
    )
    return max((min(at) for at, limit in sources if len(at) >= limit), default=None)


def _after(past: Past, cut: datetime | None) -> list[Entry]:
    entries = [
        *map(_event, past.events),
        *map(_opened, past.opened),
        *map(_resolved, past.resolved),
        *(entry for operation in past.operations for entry in _steps(operation)),
        *folded([one for one in past.checks if cut is None or one.at > cut]),
    ]
    wanted = [one for one in entries if one.at < past.before and (cut is None or one.at > cut)]
    return sorted(wanted, key=lambda entry: entry.at, reverse=True)


def _goes_on(newer: Sample, older: Sample) -> bool:
    same = (newer.result, newer.reason) == (older.result, older.reason)
    return same and newer.result != CheckResult.FAILED


def _run(run: list[Sample]) -> Entry:
    first, last = run[-1], run[0]
    day = "" if first.at.date() == last.at.date() else f"{last.at:%d %b} "
    until = f", until {day}{last.at:%H:%M:%S} UTC" if len(run) > 1 else ""
    count = "1 check" if len(run) == 1 else f"{len(run)} checks"
    reason = f": {first.reason}" if first.reason else ""
    return Entry(first.at, first.result, first.result, f"{count} {first.result}{until}{reason}")


def _event(event: LifecycleEvent) -> Entry:
    status = event.to_status
    text = event.kind.replace("_", " ").capitalize()
    if event.from_status and status and event.from_status != status:
        text += f" ({event.from_status} → {status})"
    if event.reason:
        text += f": {event.reason}"
    who = _who(event.actor, event.automatic)
    return Entry(event.at, status or "event", status or "quiet", text, who, event.operation_id)


def _steps(operation: Operation) -> Iterator[Entry]:
    """The steps that are done; their author is told by the event that began the operation."""
    for done in operation.log:
        text = f"{operation.kind.capitalize()}, step done: {done['step'].replace('_', ' ')}"
        if done["note"]:
            text += f" ({done['note']})"
        at = datetime.fromisoformat(done["at"])
        yield Entry(at, "step", "quiet", text, operation=operation.pk)


def _opened(alert: Alert) -> Entry:
    return Entry(alert.opened_at, "alert", alert.severity, alert.message)


def _resolved(alert: Alert) -> Entry:
    assert alert.resolved_at is not None
    told = f" Resolved: {alert.resolution}" if alert.resolution else ""
    return Entry(alert.resolved_at, "resolved", "succeeded", f"{alert.message}{told}")


def _who(actor: str, automatic: bool) -> str:
    return f"{actor} (automatic)" if automatic else actor
