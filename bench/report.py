"""The figures of `bench.health` as text, as a table in docs/bench.md and as a plot."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.health_line import Line

DOCS = Path(__file__).parent.parent / "docs"
BARE = "(a)"
ORM = "(b)"
_COLUMNS = [
    "what",
    "towns",
    "where",
    "wall s",
    "CPU s",
    "of PostgreSQL s",
    "memory MB",
    "whole sweep s",
]


def as_text(line: Line) -> str:
    """One line for a terminal."""
    return "  ".join(
        f"{name} {value}" if name not in ("what", "where") else value
        for name, value in zip(_COLUMNS, _values(line), strict=True)
        if value
    )


def ratios(lines: Sequence[Line]) -> str:
    """What a town's check costs, against the bare loops of the same run."""
    found = []
    for where in dict.fromkeys(line.where for line in lines):
        here = [line for line in lines if line.where == where]
        bare = min((x.cpu for x in here if x.what.startswith(BARE)), default=0.0)
        orm = min((x.cpu for x in here if x.what.startswith(ORM)), default=0.0)
        if not bare or not orm:
            continue
        for towns in sorted({x.towns for x in here if x.what == "sweep"}):
            ours = min(x.cpu for x in here if x.what == "sweep" and x.towns == towns)
            found.append(
                f"{towns:,} towns at {where}: {ours / bare:.2f} times the CPU of (a), "
                f"1/{orm / ours:.1f} of that of (b)"
            )
    return "\n".join(found)


def write(lines: Sequence[Line]) -> None:
    """Put table and plot into docs/."""
    head = f"| {' | '.join(_COLUMNS)} |\n|{' --- |' * len(_COLUMNS)}"
    rows = "\n".join(f"| {' | '.join(_values(line))} |" for line in lines)
    told = "\n".join(f"- {one}" for one in ratios(lines).splitlines())
    (DOCS / "bench-sweep.md").write_text(
        f"# Health sweeps, measured\n\nSeconds per 10,000 towns, {_machine()}. "
        "`make bench-health` repeats it.\n\n"
        f"![CPU seconds per 10,000 towns](bench-sweep.svg)\n\n{told}\n\n{head}\n{rows}\n"
    )
    (DOCS / "bench-sweep.svg").write_text(plot(lines))


def _machine() -> str:
    import os

    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}) for the "
        f"played fleet, PostgreSQL and the cluster together, Python {platform.python_version()}"
    )


def _values(line: Line) -> list[str]:
    return [
        line.what,
        f"{line.towns:,}",
        line.where,
        f"{line.wall:.1f}",
        f"{line.cpu:.2f}",
        "" if line.database_cpu is None else f"{line.database_cpu:.2f}",
        "" if line.memory_mb is None else f"{line.memory_mb:.0f}",
        "" if line.whole_wall is None else f"{line.whole_wall:.1f}",
    ]


def plot(lines: Sequence[Line]) -> str:
    """Bars of CPU seconds per 10,000 towns, the best of each kind."""
    best: dict[str, float] = {}
    for line in lines:
        name = f"{line.what}, {line.where}, {line.towns:,} towns"
        best[name] = min(line.cpu, best.get(name, line.cpu))
    most, row, left, width = max(best.values()), 26, 430, 420
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
