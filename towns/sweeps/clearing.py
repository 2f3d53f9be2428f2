"""Destroying what staff have confirmed, and what drills left over, after verifying it again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from towns import history
from towns.drift import Thing, ThingKind
from towns.fly_apps import app_of
from towns.models import Operation, Orphan, Town
from towns.orphan_policy import Backing, Cause, why_kept
from towns.services.errors import NotFound, ServiceError
from towns.services.r2 import live_prefix, retained_prefix
from towns.sweeps.listing import machine_thing, volume_thing
from towns.sweeps.orphans import Judged
from towns.sweeps.repair_scene import ACTOR, Scene
from towns.sweeps.second_look import NotSure
from towns.words import OperationKind, OperationState, Status

AT_ONCE = 20
"""As many are destroyed in one sweep: a mistake is seen before it is a large one."""
NO_ROW = (
    "We know nothing of its town, so that no backup can stand for it: confirm it once more, and "
    "have its data discarded, if nobody needs it."
)
OTHERWISE = "Somebody has decided otherwise meanwhile."
AGAIN_AFTER = timedelta(hours=1)
"""Fly is told again to destroy what it did not: now and then, rather than by each sweep."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What became of one orphan that may go: `asked` of Fly, or why it is withheld."""

    orphan: Orphan
    asked: bool
    why: str

    def as_json(self) -> dict[str, Any]:
        """For the command."""
        return {"id": self.orphan.fly_id, "destroyed": self.asked, "why": self.why}


class Withheld(Exception):
    """An orphan is not destroyed now; the text says why."""


def clear_orphans(judged: Sequence[Judged], scene: Scene) -> list[Cleared]:
    """Destroy orphans that this sweep has found again, and that were confirmed or left by a drill.

    Machines go first: a volume is only destroyed once it is attached to none.
    """
    things = {one.thing.id: one.thing for one in judged if one.is_orphan}
    left_over = Q(cause=Cause.DRILL, state=Orphan.State.REPORTED)
    due = Orphan.objects.filter(left_over | Q(state=Orphan.State.CONFIRMED))
    found = [one for one in due.select_related("town__owner") if one.fly_id in things]
    found.sort(key=lambda one: (one.kind, one.asked_at or one.first_seen_at, one.pk))
    cleared: list[Cleared] = []
    for orphan in found:
        done = sum(one.asked for one in cleared)
        cleared.append(_clear(orphan, things, scene, room=AT_ONCE - done))
    return cleared


def _clear(orphan: Orphan, things: Mapping[str, Thing], scene: Scene, *, room: int) -> Cleared:
    try:
        if room <= 0:
            raise Withheld(f"{AT_ONCE} in one sweep are enough; it is its turn later.")
        if scene.frozen is not None:
            raise Withheld(scene.frozen)
        _verify(orphan, things[orphan.fly_id], scene)
        if not scene.dry_run:
            _destroy(orphan, things[orphan.fly_id].app, scene)
    except (Withheld, NotSure) as error:
        return _withhold(orphan, str(error), scene)
    except ServiceError as error:
        return _withhold(orphan, f"Fly or R2 did not do it: {error}", scene)
    return Cleared(orphan, True, "nobody needs it, by a second look")


def _withhold(orphan: Orphan, why: str, scene: Scene) -> Cleared:
    if not scene.dry_run:
        Orphan.objects.filter(pk=orphan.pk).update(withheld=why)
    return Cleared(orphan, False, why)


def _verify(orphan: Orphan, listed: Thing, scene: Scene) -> None:
    """Raise Withheld unless nobody needs it: by Fly now, by the backups, and by our rows, which
    are asked last, just before it is destroyed."""
    now = _look(listed, scene)
    if now is None:
        raise Withheld("It is gone already.")
    if now.going:
        raise Withheld("It is going away.")
    if orphan.asked_at is not None and orphan.asked_at + AGAIN_AFTER > scene.now:
        raise Withheld(orphan.withheld)  # what came of it the last time
    backing = _backing(orphan, scene) if orphan.kind == ThingKind.VOLUME else Backing(None)
    if why := why_kept(listed, now, backing):
        raise Withheld(why)
    fly_id = orphan.fly_id
    holder = Town.objects.filter(Q(machine_id=fly_id) | Q(volume_id=fly_id)).first()
    if holder is not None:
        raise Withheld(f"It is {holder.pk}'s by now.")
    operation = Operation.objects.filter(town=orphan.town_id, state=OperationState.OPEN).first()
    if orphan.town_id is not None and operation is not None:
        raise Withheld(f"A {operation.kind} of its town is under way and may need it.")
    if not _as_read(orphan).exists():
        raise Withheld(OTHERWISE)


def _look(listed: Thing, scene: Scene) -> Thing | None:
    if listed.kind == ThingKind.MACHINE:
        machine = scene.look.machine(listed.app, listed.id)
        return machine_thing(machine, listed.app) if machine is not None else None
    volume = scene.look.volume(listed.app, listed.id)
    return volume_thing(volume, listed.app) if volume is not None else None


def _backing(orphan: Orphan, scene: Scene) -> Backing:
    """Invariant 3: a volume goes when a verified backup was made after it was confirmed, or staff
    chose to discard. A destroyed town's final backup was made before it was destroyed."""
    town = orphan.town
    if orphan.discard or orphan.cause == Cause.DRILL:
        return Backing(None)
    if town is None:
        raise Withheld(NO_ROW)
    if town.first_ran_at is None:
        return Backing(None)
    if town.status == Status.DESTROYED:
        return _final_backing(town, scene)
    if not town.volume_id or scene.look.volume(app_of(town), town.volume_id) is None:
        raise Withheld("The town's own volume is gone: this one may be all there is.")
    newest = scene.services.r2.newest_verified(live_prefix(str(town.pk)))
    since = max(filter(None, (orphan.confirmed_at, _rebuilt_at(town))), default=scene.now)
    return Backing(since, newest.created_at if newest is not None else None)


def _rebuilt_at(town: Town) -> datetime | None:
    """When the town last came up on the volume that it has now."""
    rebuilt = Operation.objects.filter(
        town=town,
        kind__in=(OperationKind.RECOVER, OperationKind.RESTORE),
        state=OperationState.SUCCEEDED,
    )
    return rebuilt.values_list("finished_at", flat=True).first()


def _final_backing(town: Town, scene: Scene) -> Backing:
    until = town.restore_until
    if until is None or until <= scene.now:
        return Backing(None)  # its backup has expired as it should
    last = Operation.objects.filter(
        town=town, kind=OperationKind.DESTROY, state=OperationState.SUCCEEDED
    ).first()
    if last is not None and last.params.get("discard"):
        return Backing(None)
    kept = scene.services.r2.newest_verified(retained_prefix(str(town.pk)))
    if kept is None:
        raise Withheld("R2 holds no verified backup of its destroyed town.")
    return Backing(None)


def _as_read(orphan: Orphan) -> QuerySet[Orphan]:
    """Its row, if staff haven't decided otherwise since it was read."""
    return Orphan.objects.filter(
        pk=orphan.pk,
        state=orphan.state,
        discard=orphan.discard,
        confirmed_at=orphan.confirmed_at,
    )


def _destroy(orphan: Orphan, app: str, scene: Scene) -> None:
    """Note it, if staff still want it so, then tell Fly. Repeating it is harmless; it is gone when
    Fly says 404."""
    now = scene.now
    if _as_read(orphan).update(asked_at=now, withheld="Fly was told to destroy it.") != 1:
        raise Withheld(OTHERWISE)
    if orphan.town is not None and orphan.asked_at is None:
        history.record(
            orphan.town,
            "orphan_destroyed",
            actor=ACTOR,
            now=now,
            reason=f"{orphan} is destroyed, as {orphan.confirmed_by} confirmed. {orphan.reason}",
            data={"rule": "confirmed orphan", "fly_id": orphan.fly_id, "cause": orphan.cause},
        )
    fly = scene.services.fly.of(app)
    try:
        if orphan.kind == ThingKind.MACHINE:
            fly.destroy_machine(orphan.fly_id, force=orphan.cause == Cause.DRILL)
        else:
            fly.destroy_volume(orphan.fly_id)
    except NotFound:
        return
