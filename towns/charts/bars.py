"""Bar charts over time."""

from datetime import datetime, timedelta

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from towns.charts.parts import Format, Plane, Series, axes, figure, nice_top, plain, told_in_words


def bar_chart(
    series: Series,
    *,
    title: str,
    since: datetime,
    until: datetime,
    step: timedelta,
    show: Format = plain,
    width: int = 560,
    height: int = 150,
) -> SafeString:
    """A bar for each point, which begins at its moment and is a little less than `step` wide."""
    largest = max((value for _, value in series.points if value is not None), default=0)
    plane = Plane(since, until, nice_top(max(largest, 1)), width, height)
    bars = format_html_join(
        "",
        '<rect class="chart-bar ops-{}" x="{}" y="{}" width="{}" height="{}">'
        "<title>{}: {}</title></rect>",
        (
            (
                series.tone,
                plane.x(moment),
                plane.y(value),
                round(max(1.0, 0.85 * (plane.x(moment + step) - plane.x(moment))), 1),
                round(plane.y(0) - plane.y(value), 1),
                f"{moment:%H:%M}",
                show(value),
            )
            for moment, value in series.points
            if value
        ),
    )
    body = format_html("{}{}", axes(plane, show), bars)
    return figure(title, told_in_words([series], show), plane, body, [series])
