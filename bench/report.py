"""The figures of `bench.health` as text, as a table in docs/bench.md and as a plot."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from bench import promises
from bench.health_line import Line

DOCS = Path(__file__).parent.parent / "docs"
_PACKAGES = ("Django", "aiohttp", "uvloop", "psycopg", "requests")
_COLUMNS = [
    "what",
    "towns",
    "where",
    "wall s",
    "CPU s",
    "of it asking s",
    "of PostgreSQL s",
    "memory MB",
    "RSS MB",
    "whole sweep s",
    "of the fleet s",
]


def as_text(line: Line) -> str:
    """One line for a terminal."""
    return "  ".join(
        f"{name} {value}" if name not in ("what", "where") else value
        for name, value in zip(_COLUMNS, _values(line), strict=True)
        if value
    )


def write(lines: Sequence[Line]) -> None:
    """Put table and plot into docs/."""
    head = f"| {' | '.join(_COLUMNS)} |\n|{' --- |' * len(_COLUMNS)}"
    rows = "\n".join(f"| {' | '.join(_values(line))} |" for line in lines)
    shown = "\n".join(f"- {promise}" for promise in promises.of(lines))
    (DOCS / "bench-sweep.md").write_text(
        f"# Health sweeps, measured\n\nSeconds per 10,000 towns, {machine()}. "
        "`make bench-health` repeats it.\n\n"
        f"![CPU seconds per 10,000 towns](bench-sweep.svg)\n\n{shown}\n\n{_READ}\n\n{head}\n"
        f"{rows}\n"
    )
    (DOCS / "bench-sweep.svg").write_text(plot(lines))


_READ = """\
(a) and (b) are what the sweep is measured against; (c) are checkers from Debian: HAProxy looks at a
status alone, Prometheus stores eleven figures. CPU is that of the client, or of all processes of
the cluster; that of PostgreSQL's backends and of the played fleet stand beside it. Memory counts
what processes share once, RSS for each. Each line is a round; the time of (c) is its interval. What
hangs does so until the time-out of five seconds; what refuses does so at a port where nobody
listens."""


def machine() -> str:
    """When and where this is, and with which versions."""
    there = {one.metadata["Name"].lower() for one in metadata.distributions()}
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in _PACKAGES if name.lower() in there
    )
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}, load "
        f"{os.getloadavg()[0]:.1f}) for the played fleet, the database and the cluster together, "
        f"Python {platform.python_version()}, {versions}{_programs()}"
    )


def _programs() -> str:
    told = ""
    for command, pattern in (
        (["psql", "--version"], r"(PostgreSQL)\) (\S+)"),
        (["haproxy", "-v"], r"(HAProxy) version (\S+)"),
        (["prometheus", "--version"], r"(prometheus), version (\S+)"),
    ):
        if shutil.which(command[0]) is None:
            continue
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(pattern, said.stdout + said.stderr)
        told += (
            f", {found[1].title() if found[1].islower() else found[1]} {found[2]}" if found else ""
        )
    return told


def _values(line: Line) -> list[str]:
    return [
        line.what,
        f"{line.towns:,}",
        line.where,
        f"{line.wall:.1f}",
        f"{line.cpu:.2f}",
        _number(line.fetch_cpu, 2),
        _number(line.database_cpu, 2),
        _number(line.memory_mb, 0),
        _number(line.rss_mb, 0),
        _number(line.whole_wall, 1),
        _number(line.fleet_cpu, 2),
    ]


def _number(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"


def plot(lines: Sequence[Line]) -> str:
    """Bars of CPU seconds per 10,000 towns, the best of each kind."""
    best: dict[str, float] = {}
    for line in lines:
        name = f"{line.what}, {line.where}, {line.towns:,} towns"
        best[name] = min(line.cpu, best.get(name, line.cpu))
    most, row, left, width = max(best.values()), 26, 530, 420
    bars = []
    for number, (name, cpu) in enumerate(best.items()):
        y, long = 10 + row * number, width * cpu / most
        colour = "#4f6bed" if name.startswith("sweep") else "#9aa0a6"
        bars.append(
            f'<text x="{left - 10}" y="{y + 14}" text-anchor="end">{name}</text>'
            f'<rect x="{left}" y="{y}" width="{long:.1f}" height="18" fill="{colour}"/>'
            f'<text x="{left + long + 6:.1f}" y="{y + 14}">{cpu:.2f} s</text>'
        )
    high = 20 + row * len(best)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 70} {high}" '
        'font-family="system-ui, sans-serif" font-size="12">\n'
        f'<title>CPU seconds per 10,000 towns</title>\n<rect width="100%" height="100%" '
        'fill="#ffffff"/>\n' + "\n".join(bars) + "\n</svg>\n"
    )
