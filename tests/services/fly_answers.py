"""Fly's answers as its documents describe them, and a client that asks `responses`."""

from typing import Any

from towns.services.errors import RateLimited
from towns.services.fly import FlyClient, FlyConfig, MachineSpec, VolumeSpec

URL = "https://fly.test/v1"
APP = f"{URL}/apps/towns"
TOKEN = "FlyV1 fm2_very-secret"
MACHINE_ID = "148e21d9a45789"
MACHINE = f"{APP}/machines/{MACHINE_ID}"
VOLUME = f"{APP}/volumes/vol_1"
SECRET_ENV = {"INTERNAL_API_KEY": "env-secret-1", "TOWN_ID": "t1"}


class NoLimit:
    """Lets everything through."""

    def take(self, action: str, key: str) -> None:
        """Allow it."""

    def hold(self, action: str, key: str, seconds: float) -> None:
        """Go on all the same."""


class Nothing:
    """Lets nothing through."""

    def take(self, action: str, key: str) -> None:
        """Refuse it."""
        raise RateLimited(f"{action} {key}", retry_after=2.5)

    def hold(self, action: str, key: str, seconds: float) -> None:
        """It is held as it is."""


def client(**fields: Any) -> FlyClient:
    config = {"api_url": URL, "token": TOKEN, "app": "towns", **fields}
    return FlyClient(FlyConfig(**config), limiter=NoLimit())


def machine(**fields: Any) -> dict[str, Any]:
    return {
        "id": MACHINE_ID,
        "name": "gastown-t1",
        "state": "started",
        "region": "iad",
        "instance_id": "01HX",
        "config": {
            "image": "registry.test/town:1",
            "metadata": {"gastown_town_id": "t1"},
            "mounts": [{"volume": "vol_1", "path": "/data"}],
        },
        "events": [
            {
                "type": "exit",
                "status": "stopped",
                "timestamp": 1_771_329_600_000,
                "request": {
                    "exit_event": {"exit_code": 137, "oom_killed": True, "requested_stop": False}
                },
            },
            {"type": "start", "status": "started", "timestamp": 1_771_329_700_500},
            {"type": "start", "status": "started", "timestamp": 1_771_329_500_000},
        ],
        "host_status": "ok",
        "created_at": "2026-02-17T11:00:00.123456789Z",
        "updated_at": "2026-02-17T12:00:00Z",
        **fields,
    }


def volume(**fields: Any) -> dict[str, Any]:
    return {
        "id": "vol_1",
        "name": "t1_1",
        "state": "created",
        "region": "iad",
        "size_gb": 50,
        "attached_machine_id": MACHINE_ID,
        "host_status": "ok",
        "created_at": "2026-02-17T11:00:00Z",
        **fields,
    }


MACHINE_SPEC = MachineSpec(
    name="gastown-t1",
    region="iad",
    image="registry.test/town:1",
    env=SECRET_ENV,
    volume_id="vol_1",
    mount_path="/data",
    metadata={"gastown_town_id": "t1"},
)
VOLUME_SPEC = VolumeSpec(name="t1_1", region="iad", size_gb=50)
