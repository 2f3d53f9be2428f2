"""When a machine is started again without being asked, and what its events tell of an end."""

import signal
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .ids import now_iso
from .records import Machine

DEFAULT_POLICY = "on-failure"
DEFAULT_RETRIES = 10
POLICIES = ("no", "on-failure", "always")
STEADY = timedelta(seconds=60)
"""A machine that ran this long has its retries back."""


@dataclass(frozen=True, slots=True)
class StopRequest:
    """How to end a process: a signal, then after `timeout` seconds SIGKILL. Without `latency` it
    begins at once."""

    signal: int = signal.SIGINT
    timeout: float = 5.0
    latency: bool = False


def may_restart(machine: Machine, exit_code: int) -> bool:
    """What `config.restart` says about an end that nobody asked for."""
    restart = machine.config.get("restart") or {}
    policy = restart.get("policy") or DEFAULT_POLICY
    if policy == "no" or (policy == "on-failure" and exit_code == 0):
        return False
    if policy == "always":
        return True
    started = datetime.fromisoformat(machine.updated_at)
    if datetime.now(UTC) - started > STEADY:
        machine.restart_count = 0
    retries = restart.get("max_retries")
    return machine.restart_count < (DEFAULT_RETRIES if retries is None else retries)


def exit_request(machine: Machine, exit_code: int, *, requested: bool) -> dict[str, Any]:
    """`request` of an exit event."""
    return {
        "restart_count": machine.restart_count,
        "exit_event": {
            "exit_code": exit_code,
            "guest_exit_code": exit_code,
            "oom_killed": False,
            "requested_stop": requested,
            "exited_at": now_iso(),
        },
    }
