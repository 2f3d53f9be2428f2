"""A town's figures as charts, with the episodes in which it failed."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils.safestring import SafeString

from towns.charts import Mark, Point, Series, line_chart, plain, with_gaps
from towns.charts.parts import Format
from towns.town_page.past import Sample


def town_charts(
    samples: Sequence[Sample], *, since: datetime, until: datetime, apart: timedelta
) -> list[SafeString]:
    """CPU, memory and disk as shares, latency, polecats. `samples` come oldest first; where two are
    more than three times `apart`, nobody looked, and there is a gap."""
    marks = episodes(samples, apart)

    def chart(
        title: str, *series: Series, top: float | None = None, show: Format = plain
    ) -> SafeString:
        span: dict[str, Any] = {"since": since, "until": until}
        return line_chart(series, title=title, top=top, show=show, marks=marks, **span)

    def line(name: str, read: Callable[[Sample], float | None], tone: str) -> Series:
        return Series(name, points(samples, read, apart), tone)

    return [
        chart(
            "CPU, memory and disk",
            line("CPU", lambda one: one.cpu, "busy"),
            line("memory", lambda one: one.memory, "warn"),
            line("disk", lambda one: one.disk, "quiet"),
            top=1,
            show=percent,
        ),
        chart("Polecats at work", line("polecats", lambda one: one.polecats, "good")),
        chart("Latency of its answer, in ms", line("ms", lambda one: one.latency_ms, "busy")),
    ]


def percent(share: float) -> str:
    """A share of 0 to 1 as people read it."""
    return f"{100 * share:.0f} %"


def points(
    samples: Sequence[Sample], read: Callable[[Sample], float | None], apart: timedelta
) -> list[Point]:
    """The points of a line, with an unknown one where nobody looked."""
    return with_gaps(((one.at, read(one)) for one in samples), apart)


def episodes(samples: Sequence[Sample], apart: timedelta) -> list[Mark]:
    """From each first failed sample to the next good one, or to a time in which nobody looked. What
    is unknown neither begins nor ends one."""
    found: list[Mark] = []
    began: Sample | None = None
    last: Sample | None = None
    for one in samples:
        if began and last and (one.result == "ok" or one.at - last.at > 3 * apart):
            ends = one.at if one.result == "ok" else last.at
            found.append(Mark(began.at, ends, began.reason or "failed"))
            began = None
        if one.result == "failed" and began is None:
            began = one
        last = one
    if began and last:
        found.append(Mark(began.at, last.at, began.reason or "failed"))
    return found
