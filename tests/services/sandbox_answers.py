"""What a sandbox answers when all is well."""

import copy
from typing import Any

from towns.services.sandbox import SandboxAddress

KEY = "0badc0de-very-secret-key"
HEALTH: dict[str, Any] = {
    "town_id": "t1",
    "machine_id": "148e",
    "started_at": "2026-02-17T12:00:00Z",
    "version": "1.0.1",
    "daemon": {"running": True, "pid": 412, "last_heartbeat_at": "2026-02-17T12:03:00Z"},
    "dolt": {"running": True, "port": 3307, "latency_ms": 2.1},
    "tmux": {"sessions": 7},
    "polecats": {"active": 2, "total": 3},
    "merge_queue": {"in_flight": 0},
    "disk": {"used_bytes": 1_200_000_000, "total_bytes": 50_000_000_000},
    "memory": {"used_bytes": 900_000_000, "total_bytes": 8_000_000_000},
    "cpu": {"used_ratio": 0.12, "cores": 4},
    "backup": {
        "last_success_at": "2026-02-17T12:01:00Z",
        "snapshot": "20260217T120100Z",
        "last_error": None,
    },
    "restore": {"state": "none", "snapshot": None, "error": None},
    "draining": False,
}


def health(path: str = "", value: object = None, *, drop: str = "") -> dict[str, Any]:
    """A healthy answer, with the field at a dotted path changed, or dropped."""
    document = copy.deepcopy(HEALTH)
    *parents, name = (path or drop).split(".")
    inner = document
    for parent in parents:
        inner = inner[parent]
    if drop:
        del inner[name]
    elif path:
        inner[name] = value
    return document


def address(url: str = "http://148e.test:8080") -> SandboxAddress:
    return SandboxAddress(town_id="t1", machine_id="148e", url=url, key=KEY)
