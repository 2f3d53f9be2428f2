"""What processes cost, read from /proc: CPU seconds and memory of one and all its children."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
LOOK_SECONDS = 0.5


@contextmanager
def played(**options: object) -> Iterator[tuple[int, int]]:
    """A played fleet in a process of its own; yields its port and its process id."""
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.played", *given], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process.pid
    finally:
        process.kill()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """Of a process and of its children that have ended and were waited for; 0 once it is gone."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / _TICKS


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for parent in found:  # grows meanwhile
        for children in (PROC / str(parent) / "task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def tree_cpu(pid: int) -> float:
    """CPU seconds of a process and all below it."""
    return sum(map(cpu_seconds, tree(pid)))


def memory(pid: int) -> tuple[float, float]:
    """MB of a process and all below it: what they share counted once (PSS), and for each (RSS)."""
    found = [0, 0]
    for one in tree(pid):
        try:
            lines = (PROC / str(one) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        for place, name in enumerate(("Pss:", "Rss:")):
            found[place] += sum(int(line.split()[1]) for line in lines if line.startswith(name))
    return found[0] / 1024, found[1] / 1024


def _backends(name: str) -> Iterator[tuple[tuple[int, int], float]]:
    """CPU seconds of each PostgreSQL backend of a database, by process id and when it began; none
    where they are not to be seen."""
    for process in PROC.glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if command.startswith(b"postgres:") and f" {name} ".encode() in command:
            ticks = int(fields[11]) + int(fields[12])
            yield (int(process.name), int(fields[19])), ticks / _TICKS


class Watch:
    """What processes cost while it is entered.

    `pid` and all below it: the most memory at once, in MB. PostgreSQL's backends of `database`: CPU
    seconds, of those too that end meanwhile, but for what they did since the last look.
    """

    def __init__(self, pid: int, database: str) -> None:
        self.memory_mb = self.rss_mb = 0.0
        self._pid, self._database = pid, database
        self._began: dict[tuple[int, int], float] = {}
        self._seen: dict[tuple[int, int], float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    @property
    def database_cpu(self) -> float:
        """Seconds so far."""
        return sum(self._seen.values()) - sum(self._began.values())

    def _look(self) -> None:
        self._seen.update(_backends(self._database))
        shared, each = memory(self._pid)
        self.memory_mb, self.rss_mb = max(self.memory_mb, shared), max(self.rss_mb, each)

    def _look_on(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._look()

    def __enter__(self) -> Self:
        self._look()
        self._began = dict(self._seen)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()
