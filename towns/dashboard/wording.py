"""A town in its owner's words. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from towns.flows.registry import flow_of
from towns.models import Operation, Town
from towns.policy import Hold
from towns.readable import ago, duration
from towns.words import Status, StopReason

WARN_EARLY, WARN_LATE = timedelta(minutes=10), timedelta(minutes=2)
_STATES = {
    Status.PROVISIONING: "Being made",
    Status.STARTING: "Waking up",
    Status.RUNNING: "Running",
    Status.UNHEALTHY: "Not answering",
    Status.RESTARTING: "Restarting",
    Status.RECOVERING: "Being rebuilt from its backup",
    Status.STOPPING: "Going to sleep",
    Status.STOPPED: "Stopped",
    Status.DESTROYING: "Being destroyed",
    Status.DESTROYED: "Destroyed",
    Status.RESTORING: "Being restored",
    Status.ERROR: "In trouble",
}
_HOLDS = {
    Hold.AUTO_STOP_OFF: "automatic sleep is off",
    Hold.HOLD: "our staff look after it",
    Hold.KEEP_AWAKE: "you asked to keep it awake",
    Hold.UNKNOWN_HEALTH: "we wait for news of its health",
    Hold.POLECATS: "agents are at work",
    Hold.MERGE_QUEUE: "its merge queue is not empty",
    Hold.CONNECTION: "a connection to it is open",
    Hold.INTERACTION: "you used it lately",
}


def state_of(town: Town) -> str:
    """What it is, in a few words."""
    if town.status == Status.STOPPED and town.stop_reason == StopReason.IDLE:
        return "Asleep"
    return _STATES[Status(town.status)]


def holds_told(held: list[Hold]) -> str:
    """What keeps it awake, in one phrase; empty for nothing."""
    return ", ".join(_HOLDS[one] for one in held)


def plan_of(town: Town, stop_at: datetime | None, held: list[Hold], now: datetime) -> str:
    """What happens next, if nobody does anything."""
    if town.status == Status.STOPPED:
        if town.stop_reason == StopReason.IDLE:
            return "It wakes when you open it."
        return "It stays stopped until you start it."
    if town.status == Status.DESTROYED:
        return ""
    if town.status not in (Status.RUNNING, Status.UNHEALTHY):
        return ""
    if stop_at is None:
        return f"It stays awake: {holds_told(held)}." if held else ""
    if stop_at <= now:
        return "It goes to sleep within a few minutes unless you use it."
    return f"It goes to sleep {ago(stop_at, now)} ({stop_at:%H:%M} UTC) unless you use it."


def warning_of(stop_at: datetime | None, now: datetime) -> str:
    """A warning in the last 10 minutes before an idle stop, a more urgent one in the last 2; else
    empty."""
    if stop_at is None or stop_at - now > WARN_EARLY:
        return ""
    left = stop_at - now
    if left <= WARN_LATE:
        return "It goes to sleep in less than 2 minutes."
    return f"It goes to sleep in {duration(left.total_seconds())}."


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation is: step `number` of `total`, and what each is called."""

    number: int
    total: int
    steps: list[tuple[str, str]]
    """`done`, `now` or `next`, and the step."""
    told: str


def progress_of(operation: Operation) -> Progress:
    """The steps of an operation under way."""
    now = _words(operation.step)
    steps = [
        *(("done", _words(entry["step"])) for entry in operation.log),
        ("now", now),
        *(("next", _words(name)) for name in flow_of(operation.kind).to_come(operation.step)),
    ]
    number = len(operation.log) + 1
    return Progress(number, len(steps), steps, f"step {number} of {len(steps)}: {now}")


def _words(step: str) -> str:
    return step.replace("_", " ").capitalize()
