"""Restore drills as rows: begun with their operation, concluded once, called off by anything else.

What a drill proves is told here, in one transaction with its result: a corrupt snapshot alerts
before anybody needs it, and what proves nothing says so.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from towns import alerts, history
from towns.fly_apps import app_of
from towns.history import Actor
from towns.metrics.store import tally
from towns.models import Drill, Operation, Town
from towns.standing import FLEET
from towns.words import OperationKind, OperationState

ALERT = "drill_failed"
IMAGE_ALERT = "drill_image"
BAD = frozenset({Drill.Result.CORRUPT, Drill.Result.FAILED})
PROVED_BY_A_SANDBOX = frozenset({Drill.Result.OK, Drill.Result.CORRUPT})
"""Only an image that knows drills can have told these."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a drill has found out. `snapshot` is the one that was to be restored."""

    result: Drill.Result
    reason: str
    snapshot: str = ""
    fell_back_to: str = ""
    corrupt: tuple[str, ...] = ()
    bytes: int | None = None


def begin(operation: Operation) -> Drill:
    """The row of a drill whose operation has just begun. The caller holds the town's row lock."""
    return Drill.objects.create(
        id=operation.pk,
        town_id=operation.town_id,
        operation=operation,
        fly_app=app_of(operation.town),
        automatic=operation.automatic,
        began_at=operation.created_at,
    )


@transaction.atomic
def conclude(drill: Drill, verdict: Verdict, *, town: Town, now: datetime) -> None:
    """Write the result, once; alert if a backup would not do what it is there for, and close the
    alert when one did."""
    values = {
        "result": verdict.result,
        "reason": verdict.reason,
        "snapshot": verdict.snapshot or drill.snapshot,
        "fell_back_to": verdict.fell_back_to,
        "corrupt": list(verdict.corrupt),
        "bytes": verdict.bytes if verdict.bytes is not None else drill.bytes,
        "finished_at": now,
    }
    if Drill.objects.filter(pk=drill.pk, result="").update(**values) != 1:
        drill.refresh_from_db()
        return
    for name, value in values.items():
        setattr(drill, name, value)
    if verdict.result in BAD:
        alerts.open_alert(
            cause=ALERT,
            town=town,
            severity="critical",
            message=_warning(town, drill),
            now=now,
            data={
                "drill": str(drill.pk),
                "snapshot": drill.snapshot,
                "corrupt": drill.corrupt,
                "fell_back_to": drill.fell_back_to,
            },
        )
    if verdict.result == Drill.Result.OK:
        alerts.resolve_alerts(
            town=town, causes=[ALERT], resolution="a drill restored its backup", now=now
        )
    if verdict.result in PROVED_BY_A_SANDBOX:
        alerts.resolve_alerts(
            subject=FLEET, causes=[IMAGE_ALERT], resolution="its image knows drills", now=now
        )


def _warning(town: Town, drill: Drill) -> str:
    """What staff have to know before the backup is needed, and what to do."""
    works = (
        f"Snapshot {drill.fell_back_to} does restore: it is what a recovery would get now."
        if drill.fell_back_to
        else "No snapshot of it was seen to restore: a lost volume would be lost for good."
    )
    return (
        f"{town}: a restore drill failed. {drill.reason} {works} Have it backed up anew while it "
        f"runs (`manage.py town backup {town}`), then drill again (`manage.py town drill {town}`)."
    )


def call_off(
    operation: Operation, town: Town, because: OperationKind, *, actor: Actor, now: datetime
) -> None:
    """End a drill at once, since somebody wants something of its town.

    The caller holds the locks of both rows. Whoever drives the drill finds its lease gone at its
    next save. What it has made is left over, and removed by `flows.left_over`: nobody waits for it.
    """
    reason = f"Called off: {because} was asked for."
    Operation.objects.filter(pk=operation.pk, state=OperationState.OPEN).update(
        state=OperationState.SUPERSEDED,
        finished_at=now,
        message=reason,
        lease_until=None,
        lease_owner="",
    )
    outcome = OperationState.SUPERSEDED.value
    transaction.on_commit(
        lambda: tally.add("gastown_operations", kind=operation.kind, outcome=outcome)
    )
    drill = Drill.objects.filter(pk=operation.pk).first()
    if drill is not None:
        conclude(drill, Verdict(Drill.Result.INCONCLUSIVE, reason), town=town, now=now)
    history.record(
        town, "drill_called_off", actor=actor, now=now, reason=reason, operation=operation
    )
    call_cleaner()


def call_cleaner() -> None:
    """Have what drills left over removed soon, once this transaction has committed."""
    from django_q.tasks import async_task  # here, since it reads the broker's settings

    transaction.on_commit(lambda: async_task("towns.tasks.clean_up_drills"), robust=True)
