"""Charts as SVG, drawn on the server: they need no script, and print and scale as text does."""

from towns.charts.bars import bar_chart
from towns.charts.lines import line_chart
from towns.charts.parts import Mark, Point, Series, plain, with_gaps

__all__ = ["Mark", "Point", "Series", "bar_chart", "line_chart", "plain", "with_gaps"]
