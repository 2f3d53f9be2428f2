"""What statements cost a PostgreSQL server on this machine: time, CPU of the backend, WAL, HOT."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall time and of the backend's CPU, and bytes written to the log."""

    wall: float = 0.0
    cpu: float = 0.0
    wal: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __truediv__(self, number: float) -> "Cost":
        return Cost(*(getattr(self, f.name) / number for f in fields(self)))

    def __str__(self) -> str:
        return f"{self.wall:8.2f} s {self.cpu:8.2f} s {self.wal / 1e6:8.1f} MB"


def cost_of(work: Callable[[], object]) -> Cost:
    """Of what the connection's backend does meanwhile. The log is the whole server's: it should
    have nothing else to do."""
    from django.db import connection

    pid = one("SELECT pg_backend_pid()")
    wal = one("SELECT pg_current_wal_insert_lsn()")
    begun, cpu = time.perf_counter(), _cpu(pid)
    work()
    wall, cpu = time.perf_counter() - begun, _cpu(pid) - cpu
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s::pg_lsn)", [wal])
        return Cost(wall, cpu, float(cursor.fetchone()[0]))


def _cpu(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        after_name = file.read().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICK


@dataclass(frozen=True, slots=True)
class Table:
    """What the server counts of a table, and how many bytes it and its indexes take."""

    updated: int
    hot: int
    dead: int
    changed_since_analyze: int
    rows: float
    heap: int
    indexes: int


def table(name: str) -> Table:
    """As of now: what this backend has counted is told first."""
    one("SELECT pg_stat_force_next_flush()::text")
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n_tup_upd, n_tup_hot_upd, n_dead_tup, n_mod_since_analyze, reltuples, "
            "pg_relation_size(c.oid), pg_indexes_size(c.oid) FROM pg_class c "
            "JOIN pg_stat_user_tables ON relid = c.oid WHERE c.oid = %s::regclass",
            [name],
        )
        return Table(*cursor.fetchone())


def one(sql: str) -> Any:
    """One value."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
    return None if row is None else row[0]


def run(*statements: str) -> None:
    """One after the other, each in a transaction of its own."""
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
