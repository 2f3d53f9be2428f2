"""What one `GET /health` brought back: values shared by the sandbox client and the policy. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ProbeProblem(StrEnum):
    """Why a probe brought no readable report."""

    TIMEOUT = "timeout"
    REFUSED = "refused"
    NETWORK = "network"
    """Our own side: name service, no route, no address, no free socket."""
    STATUS = "status"
    FORBIDDEN = "forbidden"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The body of `GET /health` (sandbox.md). None means unknown, never zero.

    Sizes are bytes, `cpu_ratio` is 0 to 1 of all cores, times are aware UTC.
    """

    town_id: str
    daemon_running: bool
    dolt_running: bool
    tmux_sessions: int
    machine_id: str | None = None
    started_at: datetime | None = None
    version: str | None = None
    daemon_heartbeat_at: datetime | None = None
    polecats_active: int | None = None
    polecats_total: int | None = None
    merge_queue: int | None = None
    disk_used: int | None = None
    disk_total: int | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    cpu_ratio: float | None = None
    backup_snapshot: str | None = None
    backup_at: datetime | None = None
    backup_error: str | None = None
    restore_state: str | None = None
    restore_snapshot: str | None = None
    restore_error: str | None = None
    draining: bool = False
    drill_corrupt: tuple[str, ...] | None = None
    """In a restore drill: what was read and found corrupt. None: it is not a drill."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One answer, or the reason why there is none. Exactly one of `report` and `problem` is set."""

    report: HealthReport | None
    problem: ProbeProblem | None
    detail: str
    """For people; never a secret."""
    latency_ms: int
