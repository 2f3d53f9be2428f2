"""What comes in and what goes out, as the OpenAPI document describes it."""

from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import AfterValidator, ConfigDict, Field

from towns.api.reading import Moment
from towns.changes import REASON_LENGTH
from towns.services.r2_documents import stamp_time


class Input(Schema):
    """A body; a field that isn't known is refused rather than ignored."""

    model_config = ConfigDict(extra="forbid")


def example(**fields: Any) -> ConfigDict:
    """The config of a body with an example for the document."""
    return ConfigDict(json_schema_extra={"example": fields})


class NewTown(Input):
    """A town to be made. `owner` is for staff; everybody else makes their own."""

    model_config = example(name="harbour", owner="u-1042", region="ams", idle_timeout_minutes=30)

    name: str
    region: str | None = None
    idle_timeout_minutes: int | None = None
    owner: str | None = None


class Change(Input):
    """Settings of a town; what is left out stays. Holds and clearing restarts are for staff."""

    model_config = example(idle_timeout_minutes=45, keep_awake_minutes=120)

    idle_timeout_minutes: int | None = None
    auto_stop: bool | None = None
    keep_awake_minutes: int | None = Field(None, description="0 or null ends it.")
    keep_awake_until: Moment | None = None
    hold_reason: str | None = Field(None, description='null or "" releases it.')
    hold_until: Moment | None = Field(None, description="null: until it is released.")
    clear_restarts: bool = False


class Wish(Input):
    """Why; it is kept in the town's history."""

    model_config = example(reason="Its owner asked for it.")

    reason: str = Field("", max_length=REASON_LENGTH)


class RecoverWish(Wish):
    """`from_backup` gives up a volume that has no room on its host; the volume stays."""

    from_backup: bool = False


class DestroyWish(Wish):
    """`confirm` is the town's name, typed. `discard` goes on without a last backup."""

    model_config = example(confirm="harbour", reason="Its owner has left.")

    confirm: str
    discard: bool = False


class Interaction(Input):
    """What a gateway saw: traffic, or a WebSocket that is open. `message`: its user sent something
    through it, or opened it."""

    kind: Literal["gateway", "websocket"] = "gateway"
    message: bool = False


def _dated(snapshot: str) -> str:
    if stamp_time(snapshot) is None:
        raise ValueError("A snapshot is named by its time, and there is no such time.")
    return snapshot


class Heartbeat(Schema):
    """What a sandbox tells after each snapshot."""

    town_id: UUID
    snapshot: Annotated[str, AfterValidator(_dated)] = Field(pattern=r"^[0-9]{8}T[0-9]{6}Z$")
    created_at: Moment
    generation: int = 0
    held: bool = False


class OperationUnderWay(Schema):
    """What a town is going through."""

    id: UUID
    kind: str
    step: str
    attempt: int
    started_at: str
    next_attempt_at: str | None


class OperationOut(OperationUnderWay):
    """An operation in full."""

    town: UUID
    state: str
    message: str
    actor: str
    automatic: bool
    reason: str
    finished_at: str | None
    successor: UUID | None
    log: list[dict[str, Any]]
    note: str = Field("", description="What a request that came during an operation leads to.")


class TownOut(Schema):
    """A town. Times are ISO 8601 in UTC."""

    id: UUID
    name: str
    owner: str
    region: str
    status: str
    status_reason: str
    desired_state: str
    stop_reason: str
    machine_id: str
    volume_id: str
    last_heartbeat_at: str | None
    last_checked_at: str | None
    last_interaction_at: str | None
    last_backup_at: str | None
    consecutive_failures: int
    idle_timeout_minutes: int
    auto_stop: bool
    keep_awake_until: str | None
    idle_stop_at: str | None
    last_interaction_kind: str
    awake_because: list[str]
    destroyed_at: str | None
    restore_until: str | None
    health: dict[str, Any]
    operation: OperationUnderWay | None
    created_at: str


class RuleOut(Schema):
    """The status event: what decided, by whom, with which inputs."""

    kind: str
    actor: str
    automatic: bool
    inputs: dict[str, Any]


class HeldOut(Schema):
    """What holds the town awake, or automation back from it; `until` null: no known end."""

    cause: str
    text: str
    until: str | None


class NextOut(Schema):
    """What will happen if nothing else does; `at` null: at no known time."""

    what: str
    text: str
    at: str | None


class WhyOut(Schema):
    """What a town is, by which rule, what holds it, and what happens next."""

    id: UUID
    town: str
    status: str
    since: str
    reason: str
    wanted: str
    rule: RuleOut | None
    notes: list[str]
    held: list[HeldOut]
    next: list[NextOut]
    to_do: list[str]


class CheckOut(Schema):
    """One health check; figures are null where they are unknown."""

    id: int
    checked_at: str
    result: str
    kind: str
    reason: str
    latency_ms: int | None
    figures: dict[str, Any]


class EventOut(Schema):
    """One line of history."""

    id: int
    at: str
    kind: str
    from_status: str
    to_status: str
    actor: str
    automatic: bool
    reason: str
    operation: UUID | None
    data: dict[str, Any]


class BackupOut(Schema):
    """One snapshot in R2. Bytes."""

    id: int
    snapshot: str
    kind: str
    created_at: str
    verified_at: str | None
    bytes: int
    files: int
    held: bool
    gone_at: str | None


class DrillOut(Schema):
    """A restore drill: `result` is ok, corrupt, failed, or inconclusive, which proves nothing.
    Bytes, seconds."""

    id: UUID
    snapshot: str
    result: str
    reason: str
    fell_back_to: str
    bytes: int | None
    seconds: float | None
    automatic: bool
    began_at: str
    finished_at: str | None


class AlertOut(Schema):
    """Something a person should know."""

    id: int
    town: UUID | None
    subject: str
    cause: str
    severity: str
    message: str
    opened_at: str
    resolved_at: str | None
    resolution: str


class ProblemOut(Schema):
    """A refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, str]] = []
