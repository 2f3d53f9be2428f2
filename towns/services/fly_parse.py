"""Between Fly's JSON and our values (fly.md, "Machines" and "Volumes")."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from . import values
from .fly_types import Machine, MachineExit, MachineSpec, Volume, VolumeSpec

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
RESTARTS_BY_FLY = 10
"""How often Fly itself starts a crashed sandbox again before it leaves the machine stopped."""


class Unreadable(Exception):
    """An answer of 200 that is not what Fly describes."""


def parse_machine(document: object) -> Machine:
    """One machine. Raises Unreadable without an id and a state."""
    fields = values.mapping(document)
    machine_id, state = values.text(fields.get("id")), values.text(fields.get("state"))
    if machine_id is None or state is None:
        raise Unreadable("a machine without id or state")
    # While its host isn't ok, Fly may know only a part of the configuration.
    config = values.mapping(fields.get("config")) or values.mapping(fields.get("incomplete_config"))
    events = _newest_first(fields.get("events"))
    guest = values.mapping(config.get("guest"))
    return Machine(
        id=machine_id,
        name=values.text(fields.get("name")) or "",
        state=state,
        region=values.text(fields.get("region")) or "",
        instance_id=values.text(fields.get("instance_id")) or "",
        image=values.text(config.get("image"), 500) or "",
        metadata=_texts(config.get("metadata")),
        volume_ids=_volume_ids(config.get("mounts")),
        host_status=values.text(fields.get("host_status")) or "ok",
        created_at=values.moment(fields.get("created_at")),
        updated_at=values.moment(fields.get("updated_at")),
        last_start_at=_last_start(events),
        last_exit=_last_exit(events),
        event_error=_event_error(events),
        cpu_kind=values.text(guest.get("cpu_kind")) or "",
        cpus=values.count(guest.get("cpus")),
        memory_mb=values.count(guest.get("memory_mb")),
    )


def parse_volume(document: object) -> Volume:
    """One volume. Raises Unreadable without an id and a state."""
    fields = values.mapping(document)
    volume_id, state = values.text(fields.get("id")), values.text(fields.get("state"))
    if volume_id is None or state is None:
        raise Unreadable("a volume without id or state")
    return Volume(
        id=volume_id,
        name=values.text(fields.get("name")) or "",
        state=state,
        region=values.text(fields.get("region")) or "",
        size_gb=values.count(fields.get("size_gb")) or 0,
        attached_machine_id=values.text(fields.get("attached_machine_id")),
        host_status=values.text(fields.get("host_status")) or "ok",
        created_at=values.moment(fields.get("created_at")),
    )


def machine_body(spec: MachineSpec) -> dict[str, Any]:
    """The body of a create. The proxy neither starts nor stops a town: only we do."""
    stop = {"signal": "SIGTERM", "timeout": f"{spec.stop_timeout_seconds}s"}
    service = {
        "protocol": "tcp",
        "internal_port": spec.port,
        "autostart": False,
        "autostop": "off",
        "ports": [{"port": 443, "handlers": ["tls", "http"]}],
    }
    guest = {"cpu_kind": spec.cpu_kind, "cpus": spec.cpus, "memory_mb": spec.memory_mb}
    config = {
        "image": spec.image,
        "env": dict(spec.env),
        "guest": guest,
        "mounts": [{"volume": spec.volume_id, "path": spec.mount_path}],
        "services": [service],
        "restart": {"policy": "on-failure", "max_retries": RESTARTS_BY_FLY},
        "stop_config": stop,
        "metadata": dict(spec.metadata),
        "auto_destroy": False,
    }
    return {"name": spec.name, "region": spec.region, "config": config}


def volume_body(spec: VolumeSpec) -> dict[str, Any]:
    """The body of a create; `compute` has it land on a host where the machine fits."""
    return {
        "name": spec.name,
        "region": spec.region,
        "size_gb": spec.size_gb,
        "encrypted": True,
        "compute": {"cpu_kind": spec.cpu_kind, "cpus": spec.cpus, "memory_mb": spec.memory_mb},
        "snapshot_retention": spec.snapshot_retention_days,
    }


def _texts(value: object) -> Mapping[str, str]:
    return {key: item for key, item in values.mapping(value).items() if isinstance(item, str)}


def _volume_ids(mounts: object) -> tuple[str, ...]:
    ids = (values.text(values.mapping(mount).get("volume")) for mount in values.items(mounts))
    return tuple(volume_id for volume_id in ids if volume_id is not None)


def _newest_first(events: object) -> list[Mapping[str, Any]]:
    known = [values.mapping(event) for event in values.items(events)]
    return sorted(known, key=lambda event: _at(event) or _LONG_AGO, reverse=True)


def _at(event: Mapping[str, Any]) -> datetime | None:
    return values.milliseconds(event.get("timestamp"))


def _last_start(events: list[Mapping[str, Any]]) -> datetime | None:
    return next((_at(event) for event in events if event.get("type") == "start"), None)


def _exit_event(event: Mapping[str, Any]) -> Mapping[str, Any]:
    return values.mapping(values.mapping(event.get("request")).get("exit_event"))


def _last_exit(events: list[Mapping[str, Any]]) -> MachineExit | None:
    for event in events:
        if found := _exit_event(event):
            code = found.get("exit_code")
            return MachineExit(
                exit_code=code if isinstance(code, int) and not isinstance(code, bool) else None,
                oom_killed=found.get("oom_killed") is True,
                requested_stop=found.get("requested_stop") is True,
                at=_at(event),
            )
    return None


def _event_error(events: list[Mapping[str, Any]]) -> str | None:
    for event in events:
        error = event.get("error") or _exit_event(event).get("error")
        if told := values.text(error, 500):
            return told
        if event.get("type") == "start" and event.get("status") == "started":
            return None
    return None
