"""What somebody wanted while an operation was under way: it decides what follows."""

from dataclasses import dataclass, field
from typing import Any, Self

from towns.history import Actor
from towns.models import Operation


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants the next operation, why, and with which parameters."""

    actor: Actor
    reason: str = ""
    params: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, operation: Operation) -> Self | None:
        """The wish kept with an operation, or None."""
        kept = operation.params.get("next")
        if not kept:
            return None
        actor = Actor(kept["actor"], kept["user_id"], kept["automatic"])
        return cls(actor, kept["reason"], kept["params"])

    def keep(self, operation: Operation) -> None:
        """Keep it with the operation under way. The caller holds the town's row lock."""
        operation.params["next"] = {
            "actor": self.actor.name,
            "user_id": self.actor.user_id,
            "automatic": self.actor.automatic,
            "reason": self.reason,
            "params": self.params,
        }
        operation.save(update_fields=["params"])
