"""The documents of a backup in R2, and what we say about one (sandbox.md, r2.md)."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class R2Config:
    """Where the bucket is, and as whom we use it."""

    endpoint_url: str
    bucket: str
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pointer:
    """latest.json: the snapshot that counts, and the generation of the machine that made it."""

    timestamp: str
    generation: int
    etag: str = ""
    """What a conditional write has to match."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file of a snapshot. `path` is below the snapshot's folder, `size` in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot consists of."""

    timestamp: str
    created_at: datetime | None
    gt_version: str | None
    files: tuple[ManifestFile, ...]

    @property
    def bytes(self) -> int:
        """The size of all files together."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found when a snapshot was checked. `problem` is empty when it is `ok`."""

    ok: bool
    problem: str
    timestamp: str
    created_at: datetime | None = None
    bytes: int = 0
    files: int = 0
    generation: int | None = None
    """The generation in the pointer; None when the snapshot wasn't found through it."""


@dataclass(frozen=True, slots=True)
class Survey:
    """All that was seen below one prefix. `latest` is None where there is no pointer."""

    latest: Verification | None
    held: Verification | None = None
    """The newest snapshot that the shrink guard holds back, if it is newer than the pointer's."""
    complete: tuple[str, ...] = ()
    """The names of the snapshots that have a manifest, newest first."""


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """A rule of the bucket; `days` is None where it isn't an expiry by age."""

    id: str
    prefix: str
    days: int | None
    enabled: bool


def live_prefix(town_id: str) -> str:
    """Where a living town's backups are."""
    return f"gastown/{town_id}/"


def retained_prefix(town_id: str) -> str:
    """Where a destroyed town's final snapshot is kept for its 30 days."""
    return f"retained/{town_id}/"
