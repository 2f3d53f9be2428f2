"""A line of the table of health sweeps."""

from dataclasses import dataclass

PER = 10_000
"""Towns that costs are given for."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: seconds per 10,000 towns, and MB."""

    what: str
    towns: int
    where: str
    wall: float
    cpu: float
    database_cpu: float | None = None
    memory_mb: float | None = None
    """Of all processes together; what they share is counted once."""
    rss_mb: float | None = None
    """The same, but what they share is counted for each."""
    whole_wall: float | None = None
    """Seconds that the whole fleet took."""
    fleet_cpu: float | None = None
    """Of the process that plays the fleet."""
    fetch_cpu: float | None = None
    """What of `cpu` went into asking and parsing, where that is known."""
