"""Reads the body of a sandbox's `GET /health` (sandbox.md). Pure."""

import json
from typing import Any, TypeVar

from towns.probe import HealthReport

from . import values

RESTORE_STATES = frozenset({"none", "running", "done", "failed"})
_LONGEST_NAME = 100
_LONGEST_TEXT = 500
_MOST_NAMES = 20
T = TypeVar("T")


class Malformed(Exception):
    """The body is not a health report; the text names what is wrong with it."""


def parse_health(body: bytes | str) -> HealthReport:
    """A report from any bytes. Raises Malformed if they aren't JSON or lack a required field.

    A field that may be missing and has another type than it should is unknown: None.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("the answer is not JSON") from error
    if not isinstance(document, dict):
        raise Malformed("the answer is not a JSON object")
    return _report(document)


def _report(document: dict[str, Any]) -> HealthReport:
    daemon, dolt = values.mapping(document.get("daemon")), values.mapping(document.get("dolt"))
    tmux, polecats = values.mapping(document.get("tmux")), values.mapping(document.get("polecats"))
    disk, memory = values.mapping(document.get("disk")), values.mapping(document.get("memory"))
    backup = values.mapping(document.get("backup"))
    restore = values.mapping(document.get("restore"))
    return HealthReport(
        town_id=_required("town_id", values.text(document.get("town_id"), _LONGEST_NAME)),
        daemon_running=_required("daemon.running", values.flag(daemon.get("running"))),
        dolt_running=_required("dolt.running", values.flag(dolt.get("running"))),
        tmux_sessions=_required("tmux.sessions", _count(tmux.get("sessions"))),
        machine_id=values.text(document.get("machine_id"), _LONGEST_NAME),
        started_at=values.moment(document.get("started_at")),
        version=values.text(document.get("version"), _LONGEST_NAME),
        daemon_heartbeat_at=values.moment(daemon.get("last_heartbeat_at")),
        polecats_active=_count(polecats.get("active")),
        polecats_total=_count(polecats.get("total")),
        merge_queue=_count(values.mapping(document.get("merge_queue")).get("in_flight")),
        disk_used=values.count(disk.get("used_bytes")),
        disk_total=values.count(disk.get("total_bytes")),
        memory_used=values.count(memory.get("used_bytes")),
        memory_total=values.count(memory.get("total_bytes")),
        cpu_ratio=values.number(values.mapping(document.get("cpu")).get("used_ratio")),
        backup_snapshot=values.text(backup.get("snapshot"), _LONGEST_NAME),
        backup_at=values.moment(backup.get("last_success_at")),
        backup_error=values.text(backup.get("last_error"), _LONGEST_TEXT),
        restore_state=_restore_state(restore.get("state")),
        restore_snapshot=values.text(restore.get("snapshot"), _LONGEST_NAME),
        restore_error=values.text(restore.get("error"), _LONGEST_TEXT),
        draining=document.get("draining") is True,
        drill_corrupt=_drill(document.get("drill")),
    )


def _required(name: str, value: T | None) -> T:
    if value is None:
        raise Malformed(f"{name} is missing or of another type than it should be")
    return value


def _count(value: object) -> int | None:
    return values.count(value, values.INT32)


def _drill(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, dict):
        return None
    names = (values.text(name, _LONGEST_NAME) for name in values.items(value.get("corrupt")))
    return tuple(name for name in names if name is not None)[:_MOST_NAMES]


def _restore_state(value: object) -> str | None:
    return value if isinstance(value, str) and value in RESTORE_STATES else None
