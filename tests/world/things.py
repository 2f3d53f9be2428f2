"""The things that a world is made of: volumes with data, machines, snapshots."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from towns.services.fly_types import MachineExit

if TYPE_CHECKING:
    from .process import Process


@dataclass(frozen=True, slots=True)
class TownData:
    """What a town has worked: its marks in order. Immutable, so that a snapshot is a reference."""

    marks: tuple[str, ...] = ()
    size: int = 1_000_000

    def with_mark(self, mark: str) -> "TownData":
        """The data after some more work."""
        return TownData((*self.marks, mark), self.size)

    def shrunk(self) -> "TownData":
        """The data after most of what was large in it was deleted."""
        return TownData(self.marks, self.size // 20)


@dataclass(slots=True)
class FlyVolume:
    """A volume. `data` None: it was never written to."""

    id: str
    name: str
    region: str
    size_gb: int
    created_at: datetime
    app: str = "towns"
    state: str = "created"
    data: TownData | None = None
    has_room: bool = True
    """Whether its host has room to start a machine."""


@dataclass(slots=True)
class FlyMachine:
    """A machine. `process` is the sandbox in it while it is started."""

    id: str
    name: str
    region: str
    image: str
    env: dict[str, str]
    metadata: dict[str, str]
    volume_id: str
    instance_id: str
    created_at: datetime
    updated_at: datetime
    app: str = "towns"
    state: str = "creating"
    epoch: int = 0
    """Grows with each command, so that what an earlier one planned no longer happens."""
    process: "Process | None" = None
    last_start_at: datetime | None = None
    last_exit: MachineExit | None = None
    event_error: str | None = None
    host_status: str = "ok"

    @property
    def town_id(self) -> str:
        """Whose machine it is."""
        return self.env.get("TOWN_ID", "")

    @property
    def is_drill(self) -> bool:
        """Whether it is the throw-away machine of a restore drill."""
        return self.env.get("DRILL") == "1"


@dataclass(slots=True)
class Snapshot:
    """A snapshot in R2. Without its manifest it is not `complete`."""

    timestamp: str
    created_at: datetime
    data: TownData
    uploaded_at: datetime
    complete: bool = False
    held: bool = False
    missing_file: bool = False
    bad_checksum: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether a restore from it succeeds."""
        return self.complete and not self.missing_file and not self.bad_checksum


@dataclass(frozen=True, slots=True)
class Latest:
    """latest.json."""

    timestamp: str
    generation: int
    etag: str


@dataclass(slots=True)
class Folder:
    """One prefix of one town."""

    latest: Latest | None = None
    snapshots: dict[str, Snapshot] = field(default_factory=dict)


@dataclass(slots=True)
class Pace:
    """How long things take, in virtual seconds."""

    create: float = 1
    boot: float = 2
    gt_up: float = 3
    gt_down: float = 2
    sync: float = 3
    restore: float = 5
    destroy: float = 3
    forget: float = 60
    """How long Fly still describes a machine that is destroyed."""
    beats: bool = True
    """Whether towns back up every SYNC_INTERVAL, too."""
    restore_retries: tuple[float, ...] = (2, 5, 10)
    """The sandbox's first pauses when R2 is unreachable; then it says `failed`."""
    restore_retry: float = 30
