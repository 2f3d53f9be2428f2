"""Finding orphans and keeping their list: only reported here, see `clearing` for what follows."""

from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet, Sum

from towns import alerts
from towns.automation import FLEET
from towns.bulk import update_rows
from towns.drift import Lists, Thing, TownRow
from towns.fly_apps import app_of, presumed
from towns.models import Alert, Operation, Orphan, Town
from towns.models.orphan import OPEN_STATES
from towns.orphan_policy import Cause, Verdict, judge_drill, judge_orphan
from towns.readable import ago
from towns.sweeps.listing import rows_of
from towns.sweeps.repair_scene import Scene
from towns.sweeps.second_look import NotSure
from towns.words import OperationState

BATCH = 500
_FACTS = (
    "fly_app",
    "kind",
    "cause",
    "town_id",
    "name",
    "region",
    "size_gb",
    "fly_state",
    "reason",
    "made_at",
    "last_seen_at",
)
UNCONFIRMED = "Nobody has confirmed that it may go."
FOREIGN = "It isn't ours: it is never touched."
TOLD = 5
STUCK_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Judged:
    """Something that no row names, its town's row if there is one, and what it is."""

    thing: Thing
    town: TownRow | None
    verdict: Verdict

    @property
    def is_orphan(self) -> bool:
        """Whether it is one; else `verdict.reason` says why not."""
        return self.verdict.cause is not None

    def as_json(self, now: datetime) -> dict[str, Any]:
        """For the command."""
        thing = self.thing
        return {
            "id": thing.id,
            "kind": thing.kind.value,
            "cause": self.verdict.cause.value if self.verdict.cause else None,
            "reason": self.verdict.reason,
            "town": self.town.label if self.town else None,
            "region": thing.region,
            "size_gb": thing.size_gb,
            "made": ago(thing.made_at, now) if thing.made_at else "unknown",
        }


def judge_things(
    lists: Lists, recorded: Container[str], only: Container[UUID] | None
) -> list[Judged]:
    """Judge what no living town's row names (`recorded`); of the towns in `only`, if given.

    Their towns' rows are read once more: who has come to own something meanwhile holds it.
    """
    things = [
        thing
        for thing in (*lists.machines.values(), *lists.volumes.values())
        if thing.id not in recorded and (only is None or thing.town in only)
    ]
    rows = rows_of(thing.town for thing in things if thing.town is not None)
    under_way = _drills_under_way({thing.drill for thing in things if thing.drill is not None})
    grace = timedelta(minutes=settings.GASTOWN_ORPHAN_GRACE_MINUTES)
    found = []
    for thing in things:
        if thing.drill is not None:
            verdict = judge_drill(thing, under_way, listed_at=lists.at, grace=grace)
            found.append(Judged(thing, None, verdict))
            continue
        row = rows.get(thing.town) if thing.town is not None else None
        if row is not None and thing.id in (row.machine_id, row.volume_id):
            continue
        verdict = judge_orphan(thing, row, listed_at=lists.at, grace=grace)
        if thing.attached_to is not None and thing.attached_to in recorded:
            verdict = Verdict(None, f"it is attached to a town's machine, {thing.attached_to}")
        found.append(Judged(thing, row, verdict))
    return found


def _drills_under_way(drills: Collection[UUID]) -> set[UUID]:
    """Those that still run: a drill has the id of its operation."""
    if not drills:
        return set()
    open_ones = Operation.objects.filter(pk__in=drills, state=OperationState.OPEN)
    return set(open_ones.values_list("pk", flat=True))


def keep_list(
    judged: Sequence[Judged],
    lists: Lists,
    recorded: Container[str],
    scene: Scene,
    *,
    only: Sequence[UUID] | None = None,
) -> None:
    """Bring the table up to date: a fixed number of statements a batch, and a look at each that
    isn't listed any more."""
    now = scene.now
    orphans = {one.thing.id: one for one in judged if one.is_orphan}
    ids = list(orphans)
    for begin in range(0, len(ids), BATCH):
        _store({key: orphans[key] for key in ids[begin : begin + BATCH]}, now)
    undecided = {one.thing.id for one in judged if not one.is_orphan}
    missing = Orphan.objects.filter(state__in=OPEN_STATES)
    if only is not None:
        missing = missing.filter(town__in=only)
    for orphan in missing:
        if orphan.fly_id in orphans or orphan.fly_id in undecided:
            continue
        if presumed(orphan.fly_app) not in lists.apps:
            continue  # unknown is not gone
        listed = orphan.fly_id in lists.machines or orphan.fly_id in lists.volumes
        if listed or orphan.fly_id in recorded:
            _end(orphan, Orphan.State.CLEARED, now)
        elif _is_gone(orphan, scene):
            _end(orphan, Orphan.State.GONE, now)


def _store(orphans: dict[str, Judged], now: datetime) -> None:
    known = {one.fly_id: one for one in Orphan.objects.filter(fly_id__in=list(orphans))}
    fresh, again = [], []
    for fly_id, judged in orphans.items():
        orphan = known.get(fly_id)
        if orphan is None:
            fresh.append(_fill(Orphan(fly_id=fly_id, first_seen_at=now), judged, now))
            continue
        _fill(orphan, judged, now)
        again.append(orphan)
    Orphan.objects.bulk_create(fresh, ignore_conflicts=True)
    update_rows(again, _FACTS)
    # Once gone or cleared, it comes back as one that nobody has confirmed.
    Orphan.objects.filter(fly_id__in=list(known)).exclude(state__in=OPEN_STATES).update(
        state=Orphan.State.REPORTED,
        first_seen_at=now,
        ended_at=None,
        confirmed_at=None,
        confirmed_by="",
        discard=False,
        asked_at=None,
        withheld=UNCONFIRMED,
    )


def _fill(orphan: Orphan, judged: Judged, now: datetime) -> Orphan:
    thing, verdict = judged.thing, judged.verdict
    orphan.fly_app = thing.app
    orphan.kind, orphan.cause = thing.kind.value, str(verdict.cause)
    orphan.town_id = judged.town.id if judged.town else None
    orphan.name, orphan.region, orphan.size_gb = thing.name[:80], thing.region, thing.size_gb
    orphan.fly_state, orphan.made_at, orphan.reason = thing.state, thing.made_at, verdict.reason
    orphan.last_seen_at = now
    if orphan.pk is None:
        orphan.withheld = {Cause.FOREIGN: FOREIGN, Cause.DRILL: ""}.get(
            verdict.cause or Cause.NO_TOWN, UNCONFIRMED
        )
    return orphan


def _is_gone(orphan: Orphan, scene: Scene) -> bool:
    """Only a 404 proves it."""
    try:
        if orphan.kind == "machine":
            return scene.look.machine(orphan.fly_app, orphan.fly_id) is None
        return scene.look.volume(orphan.fly_app, orphan.fly_id) is None
    except NotSure:
        return False


def _end(orphan: Orphan, state: Orphan.State, now: datetime) -> None:
    Orphan.objects.filter(pk=orphan.pk, state__in=OPEN_STATES).update(
        state=state, ended_at=now, withheld=""
    )
    close_old_volume_alert(orphan, f"volume {orphan.fly_id} is {state.label}", now)


def settle_old_volumes(lists: Lists, scene: Scene) -> None:
    """Close the alerts about old volumes that somebody destroyed at Fly before they were ever
    listed here: nothing else would."""
    standing = Alert.objects.filter(cause=Cause.OLD_VOLUME, resolved_at=None)
    for alert in standing.select_related("town"):
        volume_id = alert.data.get("volume_id", "")
        if not volume_id or volume_id in lists.volumes or alert.town is None:
            continue
        app = app_of(alert.town)
        if presumed(app) not in lists.apps:
            continue
        if Orphan.objects.filter(fly_id=volume_id, state=Orphan.State.REPORTED).exists():
            continue
        try:
            gone = scene.look.volume(app, volume_id) is None
        except NotSure:
            continue
        if gone:
            _close_old_volume_alert(alert.town, f"volume {volume_id} is gone", scene.now)


def close_old_volume_alert(orphan: Orphan, resolution: str, now: datetime) -> None:
    """Recovery has told staff of an old volume: that is settled once none is undecided.

    To be called once `orphan` itself is saved as decided or gone.
    """
    if orphan.cause != Cause.OLD_VOLUME or orphan.town is None:
        return
    _close_old_volume_alert(orphan.town, resolution, now)


def _close_old_volume_alert(town: Town, resolution: str, now: datetime) -> None:
    others = Orphan.objects.filter(town=town, cause=Cause.OLD_VOLUME, state=Orphan.State.REPORTED)
    if not others.exists():
        alerts.resolve_alerts(
            town=town, causes=[Cause.OLD_VOLUME.value], resolution=resolution, now=now
        )


def tell_staff(now: datetime) -> None:
    """One alert for the fleet about all that waits for staff, closed when nothing does."""
    waiting = Orphan.objects.filter(state=Orphan.State.REPORTED).exclude(
        cause__in=(Cause.FOREIGN, Cause.DRILL)
    )
    count, stuck = waiting.count(), _stuck(now)
    if not count and not stuck:
        alerts.resolve_alerts(
            subject=FLEET, causes=["orphans"], resolution="no orphan waits for staff", now=now
        )
        return
    size = waiting.aggregate(total=Sum("size_gb"))["total"] or 0
    alerts.open_alert(
        cause="orphans",
        subject=FLEET,
        severity="warning",
        message=" ".join([*_told(waiting, count, size, now), *_told_stuck(stuck)]),
        now=now,
        data={"orphans": count, "size_gb": size, "stuck": stuck},
    )


def _told(waiting: QuerySet[Orphan], count: int, size: int, now: datetime) -> Iterator[str]:
    if not count:
        return
    yield (
        f"{count} orphans at Fly, {size} GB of volumes. Nothing is destroyed until you confirm it "
        "(`manage.py orphans list`, or the admin)."
    )
    for one in waiting.order_by("made_at")[:TOLD]:
        yield f"{one} ({one.region}, made {ago(one.made_at, now)}): {one.reason}"


def _told_stuck(stuck: int) -> Iterator[str]:
    if stuck:
        yield f"{stuck} that may go are still there after a day: see why they are withheld."


def _stuck(now: datetime) -> int:
    """How many may go, and don't."""
    before = now - STUCK_AFTER
    confirmed = Q(state=Orphan.State.CONFIRMED, confirmed_at__lt=before)
    left_over = Q(state=Orphan.State.REPORTED, cause=Cause.DRILL, first_seen_at__lt=before)
    return Orphan.objects.filter(confirmed | left_over).count()
