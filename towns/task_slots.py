"""Bounds how many tasks of one kind run at once: on a host, so that each host adds its share
without being told of the others, or in the whole fleet."""

import socket
from dataclasses import dataclass
from datetime import datetime

from towns.models import TaskSlot


@dataclass(frozen=True, slots=True)
class Held:
    """A slot in one's hand."""

    kind: str
    host: str
    number: int
    holder: str


def this_host() -> str:
    """The name of this host. Hosts of one name share their slots."""
    return socket.gethostname()[:80]


def take(
    kind: str, holder: str, *, now: datetime, until: datetime, slots: int = 1, host: str = ""
) -> Held | None:
    """Take a free one of so many slots until then; None while all are held.

    A killed task's slot is free again when its time is over.
    """
    for number in range(slots):
        place = {"kind": kind, "host": host, "number": number}
        TaskSlot.objects.get_or_create(**place, defaults={"until": now})
        free_now = TaskSlot.objects.filter(**place, until__lte=now)
        if free_now.update(holder=holder, until=until) == 1:
            return Held(kind, host, number, holder)
    return None


def free(held: Held, now: datetime) -> None:
    """Give a slot back, if it still is one's own."""
    TaskSlot.objects.filter(
        kind=held.kind, host=held.host, number=held.number, holder=held.holder
    ).update(until=now)
