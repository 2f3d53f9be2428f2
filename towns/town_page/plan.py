"""What happens next to a town, in a few short lines: the plan that `why` tells in full. Pure."""

from collections.abc import Iterator
from datetime import datetime

from towns.readable import ago
from towns.standing import Cause
from towns.why import Answer, Next

_TELLS = {
    "restart": "Restarts {when} if it still fails.",
    "not_restarted": "",
    "error": "Goes to error {when} if it still fails.",
    "idle_stop": "Stops {when} if nobody comes and nothing works in it.",
    "not_stopped": "",
    "health_check": "Next probe {when}.",
    "keep_awake_ends": "Kept awake; that ends {when}.",
    "backup_expires": "Can be restored; its backup is gone {when}.",
    "wake": "",
    "stay": "",
    "supersede": "",
    "call_off": "",
    "follow": "",
}
"""What is worth a line, in this order; an empty text means the one of `why`."""
_HOLDS_BACK = frozenset({*Cause, "recovery_freeze"})


def plan(answer: Answer, now: datetime) -> list[str]:
    """The lines; what holds automation back comes last, and what keeps it awake is in its stop."""
    told = [_told(answer.expected(what), text, now) for what, text in _TELLS.items()]
    return [*filter(None, told), *_held_back(answer, now)]


def _told(one: Next | None, text: str, now: datetime) -> str:
    if one is None or one.at is None or not text:
        return "" if one is None else one.text
    return text.format(when="at the next sweep" if one.at <= now else ago(one.at, now))


def _held_back(answer: Answer, now: datetime) -> Iterator[str]:
    for one in answer.held:
        if one.cause in _HOLDS_BACK:
            until = f" (ends {ago(one.until, now)})" if one.until is not None else ""
            yield f"Held back{until}: {one.text}"
