"""The shared sums: every process adds its counts to the same rows, by one statement."""

import os

from django.conf import settings
from django.db import close_old_connections, connection, transaction

from towns.metrics.tally import Counts, Tally
from towns.models import MetricSum

_TABLE = MetricSum._meta.db_table
_ADD = (
    f"INSERT INTO {_TABLE} AS held (name, labels, value) {{values}} "
    "ON CONFLICT (name, labels) DO UPDATE SET value = held.value + excluded.value"
)


def add_to_sums(counts: Counts) -> None:
    """Add counts to the sums. The rows are taken in one order, so that two processes wait for each
    other rather than block each other."""
    rows = [(name, labels, float(value)) for (name, labels), value in sorted(counts.items())]
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            arrays = "SELECT * FROM unnest(%s::text[], %s::text[], %s::float8[])"
            cursor.execute(
                _ADD.format(values=arrays), [list(part) for part in zip(*rows, strict=True)]
            )
        else:
            # SQLite reads ON CONFLICT after a SELECT as a join, unless there is a WHERE.
            cursor.executemany(_ADD.format(values="SELECT %s, %s, %s WHERE true"), rows)


def _period() -> float:
    seconds: float = settings.GASTOWN_METRICS_FLUSH_SECONDS
    return seconds


def _store(counts: Counts) -> None:
    close_old_connections()
    try:
        add_to_sums(counts)
    finally:
        close_old_connections()


tally = Tally(_store, _period)
"""This process's."""
os.register_at_fork(after_in_child=tally.forget)
