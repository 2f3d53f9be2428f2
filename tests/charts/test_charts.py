"""Charts."""

import re
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW
from towns.charts import Mark, Series, bar_chart, line_chart
from towns.charts.parts import nice_top, plain

HOUR = timedelta(hours=1)
values = st.none() | st.floats(0, 1e12)


def line(*points: float | None, **more: object) -> str:
    """A chart of one series with a point an hour."""
    moments = [(NOW + HOUR * number, value) for number, value in enumerate(points)]
    series = Series("towns", moments)
    span = {"since": NOW, "until": NOW + HOUR * max(1, len(points) - 1)}
    return line_chart([series], title="Towns", **{**span, **more})  # type: ignore[arg-type]


def paths(svg: str) -> list[str]:
    return re.findall(r' d="([^"]*)"', svg)


def test_it_works() -> None:
    svg = line(0, 5, 10)
    assert paths(svg) == ["M52.0 128.0 h0 L302.0 69.0 L552.0 10.0"]
    assert "Towns: towns now 10, at most 10" in svg
    for text in ("12:00", "13:00", "14:00", ">0<", ">5<", ">10<"):
        assert text in svg, text


def test_what_is_unknown_is_a_gap() -> None:
    assert paths(line(10, None, 10, None, 10))[0].count("M") == 3


def test_nothing_known_is_told() -> None:
    svg = line(None, None)
    assert paths(svg) == [""]
    assert "towns unknown" in svg


def test_an_episode_is_marked_and_one_outside_is_not() -> None:
    inside = Mark(NOW + HOUR, NOW + HOUR, "time-out")
    outside = Mark(NOW - 2 * HOUR, NOW - HOUR, "long ago")
    svg = line(1, 2, 3, marks=[inside, outside])
    assert "time-out" in svg
    assert "long ago" not in svg
    assert 'width="2.0"' in svg, "a short one is wide enough to be seen"


def test_names_are_escaped() -> None:
    svg = bar_chart(Series("<b>", [(NOW, 1)]), title="<i>", since=NOW, until=NOW + HOUR, step=HOUR)
    assert "<b>" not in svg
    assert "<i>" not in svg


def test_bars_begin_at_their_moment_and_nought_is_none() -> None:
    series = Series("restarts", [(NOW, 2), (NOW + HOUR, 0), (NOW + 2 * HOUR, 4)])
    svg = bar_chart(series, title="Restarts", since=NOW, until=NOW + 4 * HOUR, step=HOUR)
    assert re.findall(r'class="chart-bar ops-busy" x="([\d.]+)" y="([\d.]+)"', svg) == [
        ("52.0", "69.0"),
        ("302.0", "10.0"),
    ]


@given(st.lists(values, max_size=20))
def test_any_values_are_drawn_inside_the_frame(points: list[float | None]) -> None:
    svg = line(*points)
    ElementTree.fromstring(svg)
    for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", svg):
        assert 52 <= float(x) <= 552
        assert 10 <= float(y) <= 128


@given(st.floats(1e-6, 1e15))
def test_the_top_is_round_and_no_smaller_than_the_largest(largest: float) -> None:
    assert largest * (1 - 1e-9) <= nice_top(largest) <= 2.5 * largest


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.5, "0.5"), (2, "2"), (12.4, "12"), (1200, "1,200")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert plain(value) == text
