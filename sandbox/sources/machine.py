"""Disk, memory and CPU: the volume's file system, and cgroup limits before host totals."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .cgroup import Cgroup, find_cgroup

_MIN_CPU_PERIOD = 1.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes used, and bytes in all."""

    used_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Cpu:
    """`cpu` of /health: the share of all cores used since the last reading, and the load."""

    used_ratio: float | None
    cores: float
    load_1m: float | None


def disk_usage(path: Path) -> Usage | None:
    """The file system that holds `path`."""
    try:
        status = os.statvfs(path)
    except OSError:
        return None
    return Usage(
        used_bytes=(status.f_blocks - status.f_bfree) * status.f_frsize,
        total_bytes=status.f_blocks * status.f_frsize,
    )


def memory_usage(proc: Path, cgroup: Cgroup) -> Usage | None:
    """What counts is the cgroup, if it has a limit below the host's memory; else the host."""
    host = _host_memory(proc / "meminfo")
    limited = cgroup.memory()
    if limited is None or (host and limited.limit_bytes >= host.total_bytes):
        return host
    return Usage(limited.used_bytes, limited.limit_bytes)


def _host_memory(meminfo: Path) -> Usage | None:
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        total = int(fields["MemTotal"].split()[0]) * 1024
        available = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None
    return Usage(total - available, total)


class CpuMeter:
    """Turns the growing counters of CPU time into a share. Safe to read from many threads."""

    def __init__(
        self, proc: Path, cgroup: Cgroup, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._proc = proc
        self._cgroup = cgroup
        self._clock = clock
        self._lock = threading.Lock()
        self._ratio: float | None = None
        self._seen_at = clock()
        self._seen = self._used_seconds()

    def read(self) -> Cpu:
        """The use since the reading before; closer readings than a second get the same answer."""
        cores = self._cgroup.cpu_limit() or float(_host_cores())
        with self._lock:
            elapsed = self._clock() - self._seen_at
            if elapsed >= _MIN_CPU_PERIOD:
                used = self._used_seconds()
                if used is None or self._seen is None:
                    self._ratio = None
                else:
                    share = (used - self._seen) / (elapsed * cores)
                    self._ratio = round(min(1.0, max(0.0, share)), 3)
                self._seen, self._seen_at = used, self._seen_at + elapsed
            ratio = self._ratio
        return Cpu(ratio, int(cores) if cores.is_integer() else round(cores, 2), self._load())

    def _used_seconds(self) -> float | None:
        if self._cgroup.cpu_limit() is not None:
            return self._cgroup.cpu_seconds()
        return _host_cpu_seconds(self._proc / "stat")

    def _load(self) -> float | None:
        try:
            return float((self._proc / "loadavg").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None


def _host_cores() -> int:
    return len(os.sched_getaffinity(0))


def _host_cpu_seconds(stat: Path) -> float | None:
    """Busy time of all CPUs: user, nice, system, irq, softirq, steal; neither idle nor iowait."""
    try:
        ticks = [int(part) for part in stat.read_text().splitlines()[0].split()[1:9]]
        busy = sum(ticks) - ticks[3] - ticks[4]
    except (OSError, ValueError, IndexError):
        return None
    return busy / os.sysconf("SC_CLK_TCK")


def machine_cgroup() -> Cgroup:
    """The cgroup that this process is in."""
    return find_cgroup(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
