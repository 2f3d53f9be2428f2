"""The only writer of lifecycle events and of a town's status."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from django.contrib.auth.models import AbstractUser
from django.db import transaction

from towns.models import LifecycleEvent, Operation, Town
from towns.rows import read_row
from towns.words import Status


@dataclass(frozen=True, slots=True)
class Actor:
    """Who wants or does something: a person, or an automatic rule."""

    name: str
    user_id: int | None = None
    automatic: bool = False

    @classmethod
    def person(cls, user: AbstractUser) -> Self:
        """Somebody who is signed in."""
        return cls(name=user.get_username(), user_id=user.pk)

    @classmethod
    def shell(cls) -> Self:
        """An operator at a shell."""
        return cls(name="shell")

    @classmethod
    def automation(cls, rule: str) -> Self:
        """A rule of ours, such as `sweep:idle`."""
        return cls(name=rule, automatic=True)

    @classmethod
    def of(cls, operation: Operation) -> Self:
        """Whoever asked for an operation."""
        return cls(operation.actor, operation.user_id, operation.automatic)


def lock_town(town_id: UUID) -> Town:
    """Read a town and lock its row until the transaction ends; Town.DoesNotExist if unknown.

    Whoever locks an operation's row too locks the town's first, so that no two wait for each
    other.
    """
    return read_row(Town, town_id, lock=True)


def new_event(
    town: Town,
    kind: str,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    operation: Operation | None = None,
    data: dict[str, Any] | None = None,
    to_status: Status | None = None,
) -> LifecycleEvent:
    """An unsaved event, for sweeps that write many at once; everybody else calls `record`."""
    return LifecycleEvent(
        town=town,
        at=now,
        kind=kind,
        from_status=town.status if to_status else "",
        to_status=to_status or "",
        actor=actor.name,
        user_id=actor.user_id,
        automatic=actor.automatic,
        reason=reason,
        operation=operation,
        data=data or {},
    )


def record(
    town: Town,
    kind: str,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    operation: Operation | None = None,
    data: dict[str, Any] | None = None,
) -> LifecycleEvent:
    """Write one line of history that changes no status."""
    event = new_event(
        town, kind, actor=actor, now=now, reason=reason, operation=operation, data=data
    )
    event.save()
    return event


def apply_status(town: Town, event: LifecycleEvent) -> list[str]:
    """Set the fields of `town` that follow from its saved status event; returns their names.

    Not to be used alone: the caller saves the fields in the event's own transaction, or the
    database refuses the change (`towns.triggers`).
    """
    town.status = event.to_status
    town.status_reason = event.reason
    town.status_since = event.at
    town.status_event = event
    return ["status", "status_reason", "status_since", "status_event"]


@transaction.atomic
def change_status(
    town: Town,
    to: Status,
    *,
    kind: str,
    actor: Actor,
    now: datetime,
    reason: str = "",
    operation: Operation | None = None,
    data: dict[str, Any] | None = None,
    also: tuple[str, ...] = (),
) -> LifecycleEvent:
    """Change a town's status together with its event; `also` names other changed fields to save.

    The caller holds the town's row lock (`lock_town`).
    """
    event = new_event(
        town,
        kind,
        actor=actor,
        now=now,
        reason=reason,
        operation=operation,
        data=data,
        to_status=to,
    )
    event.save()
    town.save(update_fields=[*apply_status(town, event), *also])
    return event
