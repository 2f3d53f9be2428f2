"""`GET /health`: every fact from its source (sandbox.md, last table), what is unknown as null."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from . import clock
from .settings import Settings
from .sources.daemon import read_daemon
from .sources.dolt import probe_dolt
from .sources.machine import CpuMeter, disk_usage, machine_cgroup, memory_usage
from .sources.polecats import count_polecats
from .sources.tmux import list_sessions
from .state import AgentState

_PROC = Path("/proc")


class Health:
    """Answers for one town. Safe to ask from many threads."""

    def __init__(
        self,
        settings: Settings,
        state: AgentState,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._settings = settings
        self._state = state
        self._now = now
        self._cgroup = machine_cgroup()
        self._cpu = CpuMeter(_PROC, self._cgroup)

    def report(self) -> dict[str, object]:
        """The body of /health, ready for JSON. Bounded by the time-outs of the sources."""
        town = self._settings.gt_home
        sessions = list_sessions(town)
        polecats = count_polecats(town, sessions, self._now())
        disk = disk_usage(town)
        memory = memory_usage(_PROC, self._cgroup)
        report: dict[str, object] = {
            "town_id": self._settings.town_id,
            "machine_id": self._settings.machine_id,
            "started_at": clock.iso(self._state.started_at),
            "version": self._state.version,
            "generation": self._settings.generation,
            "daemon": self._daemon(),
            "dolt": asdict(probe_dolt(self._settings.dolt_port)),
            "tmux": {"sessions": None if sessions is None else len(sessions)},
            "polecats": asdict(polecats) if polecats else None,
            # gastown publishes no count that could be read without running its commands.
            "merge_queue": {"in_flight": None},
            "disk": asdict(disk) if disk else None,
            "memory": asdict(memory) if memory else None,
            "cpu": asdict(self._cpu.read()),
            "backup": self._backup(),
            "restore": asdict(self._state.restore),
            "draining": self._state.draining,
        }
        if self._settings.drill:
            report["drill"] = asdict(self._state.drill)
        return report

    def _daemon(self) -> dict[str, object]:
        daemon = read_daemon(self._settings.gt_home)
        return {**asdict(daemon), "last_heartbeat_at": clock.iso(daemon.last_heartbeat_at)}

    def _backup(self) -> dict[str, object]:
        backup = self._state.backup
        return {**asdict(backup), "last_success_at": clock.iso(backup.last_success_at)}
