"""What charts share: the plane that they are drawn on, its axes and its words. Pure."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

LEFT, RIGHT, TOP, BOTTOM = 52, 8, 10, 22
Format = Callable[[float], str]
Point = tuple[datetime, float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """One line or set of bars: values over time, None where nothing is known.

    `tone` is a class of the style sheet: good, warn, bad, busy or quiet.
    """

    name: str
    points: Sequence[Point]
    tone: str = "busy"


@dataclass(frozen=True, slots=True)
class Mark:
    """A span of time that is shaded, such as an episode."""

    since: datetime
    until: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Plane:
    """Where moments and values lie, in the units of the drawing."""

    since: datetime
    until: datetime
    top: float
    width: int
    height: int

    def x(self, moment: datetime) -> float:
        """Across: a moment outside is put at the edge."""
        share = (moment - self.since) / max(self.until - self.since, timedelta(seconds=1))
        return round(LEFT + min(max(share, 0.0), 1.0) * (self.width - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """Down: a value beyond the top is put there."""
        share = min(max(value / self.top, 0.0), 1.0)
        return round(self.height - BOTTOM - share * (self.height - TOP - BOTTOM), 1)


def nice_top(largest: float) -> float:
    """The first round number that is no smaller: 1, 2, 2.5, 4, 5 or 8 times a power of ten."""
    if largest < 1e-9:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    for step in (1, 2, 2.5, 4, 5, 8, 10):
        if largest <= step * power * (1 + 1e-9):
            return step * power
    return 10 * power


def plain(value: float) -> str:
    """A number as short as it can be: `12`, `0.5`, `1,200`."""
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.2g}"


def with_gaps(points: Iterable[Point], apart: timedelta) -> list[Point]:
    """The points, with an unknown one wherever two are more than three times `apart`: a time in
    which nobody looked is no straight line."""
    found: list[Point] = []
    for point in points:
        if found and point[0] - found[-1][0] > 3 * apart:
            found.append((found[-1][0] + apart, None))
        found.append(point)
    return found


def axes(plane: Plane, show: Format) -> SafeString:
    """Lines at nought, half and full height with their values, and five moments below."""
    parts = []
    for value in (0.0, plane.top / 2, plane.top):
        y = plane.y(value)
        parts.append(
            format_html(
                '<line class="chart-grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
                '<text class="chart-text" x="{}" y="{}" text-anchor="end">{}</text>',
                *(LEFT, plane.width - RIGHT, y, y, LEFT - 6, y + 4, show(value)),
            )
        )
    long = plane.until - plane.since > timedelta(days=2)
    for part in range(5):
        moment = plane.since + (plane.until - plane.since) * part / 4
        anchor = ("start", "middle", "middle", "middle", "end")[part]
        text = f"{moment:%d %b}" if long else f"{moment:%H:%M}"
        parts.append(
            format_html(
                '<text class="chart-text" x="{}" y="{}" text-anchor="{}">{}</text>',
                *(plane.x(moment), plane.height - 6, anchor, text),
            )
        )
    return format_html_join("", "{}", ((part,) for part in parts))


def shaded(plane: Plane, marks: Sequence[Mark]) -> SafeString:
    """The marked spans, at least two units wide so that a short one is seen."""
    return format_html_join(
        "",
        '<rect class="chart-mark" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>',
        (
            (
                plane.x(mark.since),
                TOP,
                max(2.0, round(plane.x(mark.until) - plane.x(mark.since), 1)),
                plane.height - TOP - BOTTOM,
                mark.text,
            )
            for mark in marks
            if mark.until >= plane.since and mark.since <= plane.until
        ),
    )


def nothing_known(plane: Plane) -> SafeString:
    """What stands in a chart that has nothing to show."""
    return format_html(
        '<text class="chart-text" x="{}" y="{}" text-anchor="middle">Nothing is known of this '
        "time.</text>",
        *((LEFT + plane.width - RIGHT) / 2, (TOP + plane.height - BOTTOM) / 2 - 6),
    )


def figure(
    title: str, told: str, plane: Plane, body: SafeString, series: Sequence[Series]
) -> SafeString:
    """The drawing with its title, what it tells in words, and a legend of several series."""
    legend = SafeString("")
    if len(series) > 1:
        legend = format_html(
            '<p class="chart-legend">{}</p>',
            format_html_join(
                "", '<span class="chart-key ops-{}">{}</span>', ((s.tone, s.name) for s in series)
            ),
        )
    return format_html(
        '<figure class="ops-chart"><figcaption>{}</figcaption>{}'
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}: {}">{}</svg></figure>',
        *(title, legend, plane.width, plane.height, title, told, body),
    )


def told_in_words(series: Sequence[Series], show: Format) -> str:
    """What a chart shows, for those who don't see it: the last and the largest of each series."""
    words = []
    for one in series:
        known = [value for _, value in one.points if value is not None]
        if known:
            words.append(f"{one.name} now {show(known[-1])}, at most {show(max(known))}")
        else:
            words.append(f"{one.name} unknown")
    return "; ".join(words)
