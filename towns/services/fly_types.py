"""What Fly's machines and volumes are to us (fly.md). Values only; times are aware UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

GOING_AWAY = frozenset(
    {
        "scheduling_destroy",
        "fork_cleanup",
        "waiting_for_detach",
        "pending_destroy",
        "destroying",
        "destroyed",
    }
)
"""Volume states that are as good as gone when one chooses, but are no proof that it is gone."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FlyConfig:
    """Where Fly's Machines API is, and as whom and for which app we ask it. Seconds."""

    api_url: str
    token: str = field(repr=False)
    app: str
    connect_timeout: float = 3.05
    read_timeout: float = 15.0
    guessed: bool = False
    """Whether the app is only presumed, one of several: then its 404 proves nothing."""


@dataclass(frozen=True, slots=True)
class MachineExit:
    """How a machine's process last ended."""

    exit_code: int | None
    oom_killed: bool
    requested_stop: bool
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as Fly describes it. One in state `destroyed` is still described."""

    id: str
    name: str
    state: str
    region: str
    instance_id: str = ""
    image: str = ""
    metadata: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    volume_ids: tuple[str, ...] = ()
    host_status: str = "ok"
    created_at: datetime | None = None
    updated_at: datetime | None = None
    last_start_at: datetime | None = None
    """When the newest `start` event happened."""
    last_exit: MachineExit | None = None
    event_error: str | None = None
    """What Fly says went wrong since the last start, if anything."""
    cpu_kind: str = ""
    cpus: int | None = None
    memory_mb: int | None = None


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """A machine to be made. `env` holds secrets."""

    name: str
    region: str
    image: str
    env: Mapping[str, str] = field(repr=False)
    volume_id: str
    mount_path: str
    metadata: Mapping[str, str]
    port: int = 8080
    cpu_kind: str = "shared"
    cpus: int = 4
    memory_mb: int = 8192
    stop_timeout_seconds: int = 300


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume as Fly describes it. Sizes are gigabytes."""

    id: str
    name: str
    state: str
    region: str
    size_gb: int
    attached_machine_id: str | None = None
    host_status: str = "ok"
    created_at: datetime | None = None

    @property
    def going_away(self) -> bool:
        """Whether it must not be chosen any more; not a proof that it is gone."""
        return self.state in GOING_AWAY


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """A volume to be made, on a host that has room for a machine of this size."""

    name: str
    region: str
    size_gb: int
    cpu_kind: str = "shared"
    cpus: int = 4
    memory_mb: int = 8192
    snapshot_retention_days: int = 5
