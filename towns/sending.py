"""How one try to send a message ended."""

from dataclasses import dataclass
from enum import Enum


class Ending(Enum):
    """What is known of a message after a try."""

    SENT = "sent"
    FAILED = "failed"  # it is known not to have arrived: tried again
    IN_DOUBT = "in doubt"  # it may have arrived: tried again under the same id
    REFUSED = "refused"  # it never will arrive: given up


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one try. `channel_down` says that no other message would fare better now."""

    ending: Ending
    error: str = ""
    channel_down: bool = False


SENT = Outcome(Ending.SENT)
