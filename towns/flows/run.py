"""A run: what a step gets to see and how it saves what it learns."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from towns import history
from towns.fly_apps import app_of
from towns.models import Operation, Town
from towns.rows import reload_row, update_row
from towns.services import Fly, Services
from towns.words import OperationState


class LeaseLost(Exception):
    """Another worker has taken the operation over; this one must leave it alone."""


@dataclass(slots=True)
class Run:
    """One claimed operation and its town. Every save fails with LeaseLost when it isn't ours."""

    operation: Operation
    town: Town
    services: Services
    least_wait: float = 0.0
    """Seconds: what waits for something is not looked at any sooner."""

    @property
    def now(self) -> datetime:
        """The present time."""
        return self.services.clock.now()

    @property
    def fly(self) -> Fly:
        """Fly, asked in the app that the town's machine and volume are in."""
        return self.services.fly.of(app_of(self.town))

    @property
    def actor(self) -> history.Actor:
        """Whoever asked for the operation."""
        return history.Actor.of(self.operation)

    @property
    def learned(self) -> dict[str, Any]:
        """What earlier steps remembered. Change it through `remember`."""
        learned: dict[str, Any] = self.operation.learned
        return learned

    def save_operation(self, **fields: Any) -> None:
        """Save fields of the operation, if the lease is still ours; else LeaseLost."""
        mine = {
            "id": self.operation.pk,
            "lease_number": self.operation.lease_number,
            "state": OperationState.OPEN,
        }
        if not update_row(Operation, mine, fields):
            raise LeaseLost(str(self.operation.pk))
        for name, value in fields.items():
            setattr(self.operation, name, value)

    def remember(self, **values: Any) -> None:
        """Save at once what a step learned: ids first, before anything else happens."""
        self.save_operation(learned={**self.operation.learned, **values})

    def report(self, **values: Any) -> None:
        """Remember facts that belong in the operation's final event."""
        self.remember(report={**self.learned.get("report", {}), **values})

    @transaction.atomic
    def save_town(self, **fields: Any) -> None:
        """Save fields of the town (never its status), if the lease is still ours."""
        history.lock_town(self.town.pk)  # before the operation's row: one order for everybody
        self.save_operation(lease_owner=self.operation.lease_owner)
        update_row(Town, {"id": self.town.pk}, fields)
        for name, value in fields.items():
            setattr(self.town, name, value)

    @transaction.atomic
    def record(self, kind: str, reason: str, **data: Any) -> None:
        """Write a lifecycle event that changes no status, if the lease is still ours."""
        self.save_operation(lease_owner=self.operation.lease_owner)
        history.record(
            self.town,
            kind,
            actor=self.actor,
            now=self.now,
            reason=reason,
            operation=self.operation,
            data=data,
        )

    def reload_town(self) -> None:
        """Read the town again: a person may have changed their mind meanwhile."""
        reload_row(self.town)
