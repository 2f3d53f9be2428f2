"""What processes cost, read from /proc: CPU seconds and memory of one and all its children."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


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


def memory_mb(pid: int) -> float:
    """Memory of a process and all below it, in MB; what they share counts once (PSS)."""
    return sum(_pss_kb(one) for one in tree(pid)) / 1024


def _pss_kb(pid: int) -> int:
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def database_cpu(name: str) -> float:
    """CPU seconds of the PostgreSQL backends of a database; 0 where they are not to be seen."""
    found = 0.0
    for process in PROC.glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if command.startswith(b"postgres:") and f" {name} ".encode() in command:
            found += cpu_seconds(int(process.name))
    return found


class Peak:
    """The most memory that a process and all below it have had at once, in MB."""

    def __init__(self, pid: int) -> None:
        self.mb = 0.0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.wait(1):
            self.mb = max(self.mb, memory_mb(self._pid))

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()
