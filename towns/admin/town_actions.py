"""What staff can do to towns, and who may: the table that pages and views go by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin

from towns import actions
from towns.history import Actor
from towns.models import Operation, Town
from towns.models.town import LIVING
from towns.presenting import open_operation
from towns.preview import Preview, preview
from towns.words import ACTIVE, BESIDE, OperationKind, Status


@dataclass(frozen=True, slots=True)
class TownAction:
    """One thing that can be done to towns; `kind` is None for a sweep, which is no operation."""

    name: str
    label: str
    kind: OperationKind | None

    @property
    def permission(self) -> str:
        """What a user needs for it."""
        return f"towns.{self.name}_town"


ACTIONS = {
    action.name: action
    for action in (
        TownAction("start", "Start", OperationKind.START),
        TownAction("stop", "Stop", OperationKind.STOP),
        TownAction("restart", "Restart", OperationKind.RESTART),
        TownAction("recover", "Recover", OperationKind.RECOVER),
        TownAction("backup", "Back up", OperationKind.BACKUP),
        TownAction("drill", "Drill", OperationKind.DRILL),
        TownAction("sweep", "Sweep now", None),
        TownAction("restore", "Restore", OperationKind.RESTORE),
        TownAction("destroy", "Destroy", OperationKind.DESTROY),
    )
}
TOWNS_AT_ONCE = 1000
"""As many towns as one confirmation takes."""


def may(user: AbstractBaseUser | AnonymousUser, action: TownAction) -> bool:
    """Whether the user may do it: its own permission, besides seeing towns."""
    if not isinstance(user, PermissionsMixin):
        return False
    sees = user.has_perm("towns.view_town") or user.has_perm("towns.change_town")
    return sees and user.has_perm(action.permission)


def may_discard(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether the user may have towns destroyed without a last backup."""
    return isinstance(user, PermissionsMixin) and user.has_perm("towns.discard_town")


def previews(
    action: TownAction, towns: Sequence[Town], now: datetime, *, discard: bool = False
) -> list[tuple[Town, Preview]]:
    """What would come of it for each town; a fixed number of queries."""
    taken = _taken_names(towns) if action.kind == OperationKind.RESTORE else set()
    found = []
    for town in towns:
        operation = open_operation(town)
        if action.kind is None:
            found.append((town, _sweep_preview(town, operation)))
            continue
        told = preview(
            action.kind,
            town,
            operation,
            now,
            name_taken=town.destroyed_at is not None and (town.owner_id, town.name) in taken,
        )
        if discard and not told.allowed:
            told = _with_discard(action.kind, town, operation, now, told)
        found.append((town, told))
    return found


def request(
    action: TownAction,
    town_id: UUID,
    *,
    actor: Actor,
    now: datetime,
    reason: str,
    discard: bool = False,
    from_backup: bool = False,
) -> actions.Requested:
    """Ask for the operation; NotAllowed with the reason when it can't be."""
    more: dict[str, bool] = {}
    if action.kind is None:
        raise ValueError(f"{action.name} is no operation")
    if action.kind == OperationKind.RECOVER:
        more["from_backup"] = from_backup
    if action.kind == OperationKind.DESTROY:
        more["discard"] = discard
    return actions.REQUESTS[action.kind](town_id, actor=actor, now=now, reason=reason, **more)


def _with_discard(
    kind: OperationKind, town: Town, operation: Operation | None, now: datetime, told: Preview
) -> Preview:
    again = preview(kind, town, operation, now, discard=True)
    if not again.allowed:
        return told
    return Preview(True, f"{told.text} With “discard” ticked: {again.text}")


def _sweep_preview(town: Town, operation: Operation | None) -> Preview:
    if Status(town.status) not in ACTIVE:
        return Preview(
            False, f"{town} is {town.status}: only running and unhealthy ones are asked."
        )
    if operation is not None and operation.is_open and operation.kind not in BESIDE:
        return Preview(False, f"{town} can't be asked now: {operation.kind} is under way.")
    return Preview(True, "Its sandbox is asked now how it is, and what follows is done.")


def _taken_names(towns: Sequence[Town]) -> set[tuple[int, str]]:
    """The names of living towns of the owners of these towns."""
    owners = {town.owner_id for town in towns}
    living = Town.objects.filter(LIVING, owner__in=owners)
    return set(living.values_list("owner_id", "name"))
