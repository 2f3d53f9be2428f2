"""All that happened to a town in one line of time: events, checks, alerts. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from towns.models import Alert, LifecycleEvent
from towns.town_page.past import ROWS, Past, Sample


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
    """The entries, newest first, and the moment at which an older page begins: None when all is
    told.

    It reaches no further back than each source was read, so that nothing is missing in between.
    """
    entries = [
        *map(_event, past.events),
        *(entry for alert in past.alerts for entry in _alert(alert)),
        *folded(past.checks),
    ]
    entries.sort(key=lambda entry: entry.at, reverse=True)
    sources = [event.at for event in past.events], [alert.opened_at for alert in past.alerts]
    floor = max((moments[-1] for moments in sources if len(moments) == ROWS), default=None)
    shown = [entry for entry in entries if floor is None or entry.at >= floor][:rows]
    more = len(shown) < len(entries) or floor is not None
    return shown, shown[-1].at if shown and more else None


def folded(checks: Sequence[Sample]) -> Iterator[Entry]:
    """Checks, newest first: a run of the same result for the same reason is one entry, which lies
    where the run began."""
    run: list[Sample] = []
    for one in checks:
        if run and (one.result, one.reason) != (run[-1].result, run[-1].reason):
            yield _run(run)
            run = []
        run.append(one)
    if run:
        yield _run(run)


def _run(run: list[Sample]) -> Entry:
    first, last = run[-1], run[0]
    until = f", until {last.at:%H:%M:%S}" if len(run) > 1 else ""
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
    who = f"{event.actor} (automatic)" if event.automatic else event.actor
    return Entry(event.at, status or "event", status or "quiet", text, who, event.operation_id)


def _alert(alert: Alert) -> Iterator[Entry]:
    yield Entry(alert.opened_at, "alert", alert.severity, alert.message)
    if alert.resolved_at is not None:
        told = f": {alert.resolution}" if alert.resolution else ""
        yield Entry(alert.resolved_at, "resolved", "succeeded", f"{alert.message}{told}")
