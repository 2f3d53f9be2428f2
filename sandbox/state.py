"""What the agent knows about itself; /health and /sync read it while the agent works."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class RestoreState(StrEnum):
    """`restore.state` of /health."""

    NONE = "none"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """`restore` of /health: `error` also tells of a snapshot that was passed over."""

    state: RestoreState = RestoreState.NONE
    snapshot: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DrillReport:
    """`drill` of /health, in a drill only: what was read and found corrupt, by the names of the
    snapshots, or `latest.json`. Empty while nothing was proved to be wrong."""

    corrupt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BackupReport:
    """`backup` of /health: `snapshot` is the one that latest.json pointed to when we last knew."""

    last_success_at: datetime | None = None
    snapshot: str | None = None
    last_error: str | None = None


@dataclass(slots=True)
class AgentState:
    """Written by the agent's thread, read by the API's: each field is replaced as a whole.

    `town_ready` is true once the volume holds a whole town; until then nothing is backed up.
    `gt_used` is true once there may be something for `gt down` to stop.
    """

    started_at: datetime
    restore: RestoreReport = field(default_factory=RestoreReport)
    drill: DrillReport = field(default_factory=DrillReport)
    backup: BackupReport = field(default_factory=BackupReport)
    town_ready: bool = False
    gt_used: bool = False
    draining: bool = False
    version: str | None = None
