"""The limits of the control group that we run in, version 2 and version 1.

Linux documentation: admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, scheduler/sched-bwc.rst.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_NO_LIMIT = 1 << 60  # v1 says "unlimited" with a number near 2^63


@dataclass(frozen=True, slots=True)
class LimitedMemory:
    """Memory in use without the file cache that can be dropped, and the limit, in bytes."""

    used_bytes: int
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class Cgroup:
    """Our group's folder for each controller; `unified` is the one of version 2."""

    root: Path
    unified: Path | None = None
    controllers: Mapping[str, Path] = field(default_factory=dict)

    def memory(self) -> LimitedMemory | None:
        """The tightest memory limit from our group upwards, or None if there is none."""
        found: list[LimitedMemory] = []
        for folder in self._upwards(self.unified):
            limit = _number(folder / "memory.max")
            used = _number(folder / "memory.current")
            if limit is not None and used is not None:
                cache = _field(folder / "memory.stat", "inactive_file")
                found.append(LimitedMemory(max(0, used - cache), limit))
        for folder in self._upwards(self.controllers.get("memory")):
            limit = _number(folder / "memory.limit_in_bytes")
            used = _number(folder / "memory.usage_in_bytes")
            if limit is not None and used is not None and limit < _NO_LIMIT:
                cache = _field(folder / "memory.stat", "total_inactive_file")
                found.append(LimitedMemory(max(0, used - cache), limit))
        return min(found, key=lambda one: one.limit_bytes, default=None)

    def cpu_limit(self) -> float | None:
        """The number of CPUs that we may use, if that is limited."""
        found: list[float] = []
        for folder in self._upwards(self.unified):
            quota, _, period = _text(folder / "cpu.max").partition(" ")
            if quota.isdigit() and period.isdigit():
                found.append(int(quota) / int(period))
        for folder in self._upwards(self.controllers.get("cpu")):
            limit = _number(folder / "cpu.cfs_quota_us")
            every = _number(folder / "cpu.cfs_period_us")
            if limit is not None and every and limit > 0:
                found.append(limit / every)
        return min(found, default=None)

    def cpu_seconds(self) -> float | None:
        """The CPU time that our group has used so far."""
        if self.unified is not None and (used := _field(self.unified / "cpu.stat", "usage_usec")):
            return used / 1e6
        folder = self.controllers.get("cpuacct")
        spent = _number(folder / "cpuacct.usage") if folder else None
        return None if spent is None else spent / 1e9

    def _upwards(self, folder: Path | None) -> Iterator[Path]:
        while folder is not None and folder.is_relative_to(self.root):
            yield folder
            folder = folder.parent


def find_cgroup(membership: Path, root: Path) -> Cgroup:
    """Read `/proc/self/cgroup` (lines `id:controllers:path`) against the mounts under `root`.

    In a container the path may be the host's, and our group is then mounted as the root itself.
    """
    unified: Path | None = None
    controllers: dict[str, Path] = {}
    for line in _text(membership).splitlines():
        _, names, path = line.split(":", 2)
        if not names:
            unified = _existing(root, path)
        for name in filter(None, names.split(",")):
            controllers[name] = _existing(root / name, path)
    return Cgroup(root, unified, controllers)


def _existing(mount: Path, path: str) -> Path:
    folder = mount / path.strip("/")
    return folder if folder.is_dir() else mount


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _field(path: Path, name: str) -> int:
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0
