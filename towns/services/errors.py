"""What went wrong when we talked to the outside, by what is known about it.

Flows decide on these types, never on text. The text is for people: what happened, to what, and
what to do. It never holds a token, a key or a signed address.
"""

from typing import ClassVar


class ServiceError(Exception):
    """A call to Fly, a sandbox or R2 did not bring what was asked for."""

    what_to_do: ClassVar[str] = ""
    """Ends the text that people read."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} {self.what_to_do}".strip()


class NotFound(ServiceError):
    """It is absent, and that is certain: the only proof of absence there is."""


class Conflict(ServiceError):
    """Its present state forbids the change: leased, running, restoring, or the name is taken.

    `existing_id` is the machine that has the name already, where Fly told it.
    """

    what_to_do = "Have a look at it before it is tried again."

    def __init__(self, message: str, existing_id: str | None = None) -> None:
        super().__init__(message)
        self.existing_id = existing_id


class CapacityError(ServiceError):
    """Fly has no room for it, on this host or in this region, at the moment."""

    what_to_do = "Fly has no room for it now: try later, or in another region."


class RateLimited(ServiceError):
    """Too many calls of one kind; nothing was done. `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} It may be asked again in {self.retry_after:.1f} s."


class Unavailable(ServiceError):
    """Nothing is known: time-out, connection lost, 5xx, or an answer that can't be read.

    The call may have had its effect, and it proves nothing about what it was about.
    """

    what_to_do = "Nothing is known about it now; it is looked at again."


class Rejected(ServiceError):
    """The request itself was refused; repeating it unchanged won't help."""

    what_to_do = "Repeating it won't help: the request has to change."


class Misconfigured(Rejected):
    """One of our settings is unset or wrong; the message names it and says what to write."""

    what_to_do = ""


class Corrupt(Rejected):
    """A document in R2 is there but can't be understood, so it can't be relied on."""

    what_to_do = "It can't be used; an older snapshot may be."
