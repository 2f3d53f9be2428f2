"""The words of the product: statuses, kinds and what may follow what. Pure, no Django."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """What a town is right now."""

    PROVISIONING = "provisioning"
    STARTING = "starting"
    RUNNING = "running"
    UNHEALTHY = "unhealthy"
    RESTARTING = "restarting"
    RECOVERING = "recovering"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DESTROYING = "destroying"
    DESTROYED = "destroyed"
    RESTORING = "restoring"
    ERROR = "error"


class DesiredState(StrEnum):
    """What a person wants a town to be."""

    RUNNING = "running"
    STOPPED = "stopped"
    DESTROYED = "destroyed"


class OperationKind(StrEnum):
    """The flows that a town can go through."""

    PROVISION = "provision"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RECOVER = "recover"
    DESTROY = "destroy"
    RESTORE = "restore"
    BACKUP = "backup"
    DRILL = "drill"


class OperationState(StrEnum):
    """How an operation ended, or that it is still open."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SUPERSEDED = "superseded"


class CheckResult(StrEnum):
    """What one probe proved."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


class FailureKind(StrEnum):
    """Why a check failed, or why it is unknown."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    BAD_STATUS = "bad_status"
    MALFORMED = "malformed"
    WRONG_TOWN = "wrong_town"
    DAEMON_DOWN = "daemon_down"
    DOLT_DOWN = "dolt_down"
    OUR_NETWORK = "our_network"
    KEY_REFUSED = "key_refused"
    OPERATION_BEGAN = "operation_began"


class StopReason(StrEnum):
    """Why a town was stopped."""

    NONE = ""
    IDLE = "idle"
    PERSON = "person"


class InteractionKind(StrEnum):
    """Signs that an owner uses a town."""

    VISIT = "visit"
    API = "api"
    GATEWAY = "gateway"
    WEBSOCKET = "websocket"
    START = "start"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the status table in product.md, section 3.

    `then` and `failed` are None where the status stays what it was before the operation.
    """

    may_start_from: frozenset[Status]
    during: Status | None
    then: Status | None
    failed: Status | None


def _row(
    start_from: set[Status], during: Status | None, then: Status | None, failed: Status | None
) -> Transition:
    return Transition(frozenset(start_from), during, then, failed)


TRANSITIONS: dict[OperationKind, Transition] = {
    OperationKind.PROVISION: _row(set(), Status.PROVISIONING, Status.RUNNING, Status.ERROR),
    OperationKind.START: _row(
        {Status.STOPPED, Status.ERROR}, Status.STARTING, Status.RUNNING, Status.ERROR
    ),
    OperationKind.STOP: _row(
        {Status.RUNNING, Status.UNHEALTHY, Status.ERROR}, Status.STOPPING, Status.STOPPED, None
    ),
    OperationKind.RESTART: _row(
        {Status.RUNNING, Status.UNHEALTHY, Status.ERROR},
        Status.RESTARTING,
        Status.RUNNING,
        Status.ERROR,
    ),
    OperationKind.RECOVER: _row(
        {Status.UNHEALTHY, Status.ERROR, Status.STOPPED},
        Status.RECOVERING,
        Status.RUNNING,
        Status.ERROR,
    ),
    OperationKind.DESTROY: _row(
        set(Status) - {Status.DESTROYING, Status.DESTROYED},
        Status.DESTROYING,
        Status.DESTROYED,
        None,
    ),
    OperationKind.RESTORE: _row(
        {Status.DESTROYED}, Status.RESTORING, Status.RUNNING, Status.DESTROYED
    ),
    OperationKind.BACKUP: _row({Status.RUNNING}, None, None, None),
    OperationKind.DRILL: _row(
        {Status.RUNNING, Status.UNHEALTHY, Status.STOPPED, Status.ERROR}, None, None, None
    ),
}

BESIDE = frozenset({OperationKind.DRILL})
"""Operations that run beside a town's life. They touch nothing of the town, hold no sweep up, and
are called off by whatever else is asked for."""

ACTIVE = frozenset({Status.RUNNING, Status.UNHEALTHY})
"""The statuses in which a town is probed."""
