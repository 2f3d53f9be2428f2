"""Machines and volumes as the local cloud remembers them, and as the API shows them."""

from dataclasses import asdict, dataclass, field
from typing import Any

from . import ids

EVENTS_KEPT = 20
RUNNING = frozenset({"starting", "started", "restarting", "replacing", "updating"})
"""States in which a machine runs, or will without being told again."""
RESTING = frozenset({"created", "stopped", "suspended", "failed"})
GOING = frozenset({"scheduling_destroy", "destroying", "destroyed"})
"""States of a volume that is going away."""


@dataclass(slots=True)
class Lease:
    """Who else may change a machine: nobody, without the nonce. `expires_at` in epoch seconds."""

    nonce: str
    expires_at: int
    owner: str
    description: str
    version: str


@dataclass(slots=True)
class Machine:
    """One machine. `port` is its sandbox's, while it has a process. Records of before there were
    several apps have an empty one: they are the first app's."""

    id: str
    name: str
    region: str
    config: dict[str, Any]
    app: str = ""
    state: str = "created"
    instance_id: str = field(default_factory=ids.ulid)
    old_instance_ids: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    created_at: str = field(default_factory=ids.now_iso)
    updated_at: str = field(default_factory=ids.now_iso)
    host_status: str = "ok"
    cordoned: bool = False
    lease: Lease | None = None
    restart_count: int = 0
    port: int = 0
    dolt_port: int = 0

    @property
    def metadata(self) -> dict[str, str]:
        """`config.metadata`, made if it is missing."""
        found: dict[str, str] = self.config.setdefault("metadata", {})
        return found

    @property
    def volume_ids(self) -> list[str]:
        """The volumes that its configuration mounts."""
        return [mount["volume"] for mount in self.config.get("mounts") or []]

    def set_state(self, state: str) -> None:
        """Go to a state now."""
        self.state = state
        self.updated_at = ids.now_iso()

    def add_event(
        self,
        kind: str,
        status: str,
        source: str = "flyd",
        request: dict[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        """Newest first, as Fly lists them; the oldest are forgotten."""
        event: dict[str, Any] = {
            "id": ids.ulid(),
            "type": kind,
            "status": status,
            "source": source,
            "timestamp": ids.now_ms(),
        }
        if request is not None:
            event["request"] = request
        if error is not None:
            event["error"] = error
        self.events.insert(0, event)
        del self.events[EVENTS_KEPT:]

    def new_version(self) -> None:
        """Every update makes one."""
        self.old_instance_ids = [*self.old_instance_ids, self.instance_id][-20:]
        self.instance_id = ids.ulid()

    def document(self, *, summary: bool = False) -> dict[str, Any]:
        """As the API shows it; a summary has neither environment nor events."""
        config = dict(self.config)
        if summary:
            config = {key: config[key] for key in ("metadata", "guest", "mounts") if key in config}
        body = {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "region": self.region,
            "instance_id": self.instance_id,
            "private_ip": "fdaa::1",
            "image_ref": {"repository": self.config.get("image", "")},
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "host_status": self.host_status,
            "cordoned": self.cordoned,
            "checks": [],
        }
        if self.host_status == "ok":
            body["config"] = config
        else:
            body["incomplete_config"] = config
        if not summary:
            body["events"] = [dict(event) for event in self.events]
        return body


@dataclass(slots=True)
class Volume:
    """One volume; its files are a folder."""

    id: str
    name: str
    region: str
    app: str = ""
    size_gb: int = 1
    state: str = "created"
    encrypted: bool = True
    attached_machine_id: str | None = None
    snapshot_retention: int = 5
    auto_backup_enabled: bool = True
    host_status: str = "ok"
    created_at: str = field(default_factory=ids.now_iso)
    snapshots: list[dict[str, Any]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As the API shows it."""
        blocks = self.size_gb * 1024 * 1024 // 4
        body = asdict(self)
        del body["snapshots"], body["app"]
        return {
            **body,
            "zone": "local",
            "attached_alloc_id": None,
            "blocks": blocks,
            "block_size": 4096,
            "blocks_free": blocks,
            "blocks_avail": blocks,
            "fstype": "ext4",
        }
