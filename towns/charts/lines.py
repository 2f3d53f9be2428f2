"""Line charts over time."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from towns.charts.parts import (
    Format,
    Mark,
    Plane,
    Series,
    axes,
    figure,
    nice_top,
    nothing_known,
    plain,
    shaded,
    told_in_words,
)


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    since: datetime,
    until: datetime,
    show: Format = plain,
    top: float | None = None,
    marks: Sequence[Mark] = (),
    width: int = 560,
    height: int = 150,
) -> SafeString:
    """Lines over a span of time; where a value is None there is a gap. `top` fixes the full height,
    as for shares; else it is the next round number above the largest value."""
    values = [value for one in series for _, value in one.points if value is not None]
    plane = Plane(since, until, top or nice_top(max(values, default=0)), width, height)
    lines = format_html_join(
        "",
        '<path class="chart-line ops-{}" d="{}"/>',
        ((one.tone, " ".join(_path(one, plane))) for one in series),
    )
    body = format_html("{}{}{}", axes(plane, show), shaded(plane, marks), lines)
    if not values:
        body = format_html("{}{}", body, nothing_known(plane))
    return figure(title, told_in_words(series, show), plane, body, series)


def _path(series: Series, plane: Plane) -> Iterator[str]:
    pen_down = False
    for moment, value in series.points:
        if value is None:
            pen_down = False
            continue
        yield f"{'L' if pen_down else 'M'}{plane.x(moment)} {plane.y(value)}"
        if not pen_down:  # a point between two gaps is seen as a dot
            yield "h0"
        pen_down = True
