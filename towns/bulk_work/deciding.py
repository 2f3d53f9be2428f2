"""What people decide about a run: begin, pause, go on, cancel. Each is one conditional change, so
that two who press at once do it once."""

from datetime import datetime

from django.db import transaction
from django_q.tasks import async_task

from towns.models import BulkRun
from towns.models.bulk_run import GOING

State = BulkRun.State
TASK = "towns.tasks.bulk_work"


def begin(
    run_id: int,
    *,
    reason: str,
    at_once: int,
    canaries: int,
    failures_allowed: int,
    now: datetime,
) -> bool:
    """Begin a previewed run; False if somebody has begun or cancelled it already."""
    fields = {
        "state": State.CANARY if canaries else State.RUNNING,
        "reason": reason,
        "at_once": at_once,
        "canaries": canaries,
        "failures_allowed": failures_allowed,
        "started_at": now,
    }
    return _change(run_id, (State.PREVIEWED,), **fields)


def go_on(run_id: int, *, more_failures: int = 3) -> bool:
    """Go on with a paused run; as many more may fail until it is paused again."""
    run = BulkRun.objects.filter(pk=run_id).first()
    if run is None:
        return False
    failed = run.items.filter(state="failed").count()
    fields = {"state": State.RUNNING, "note": "", "failures_allowed": failed + more_failures}
    return _change(run_id, (State.PAUSED,), **fields)


def pause(run_id: int, *, actor: str) -> bool:
    """Begin no more; what is under way goes on."""
    return _change(run_id, GOING, state=State.PAUSED, note=f"{actor} paused it.")


def cancel(run_id: int, *, actor: str, now: datetime) -> bool:
    """Begin no more, for good; what is under way goes on."""
    fields = {"state": State.CANCELLED, "note": f"{actor} cancelled it.", "finished_at": now}
    return _change(run_id, (State.PREVIEWED, State.PAUSED, *GOING), **fields)


def _change(run_id: int, states: tuple[str, ...], **fields: object) -> bool:
    with transaction.atomic():
        mine = BulkRun.objects.filter(pk=run_id, state__in=states)
        if mine.update(**fields) != 1:
            return False
        if fields["state"] in GOING:
            transaction.on_commit(lambda: async_task(TASK))
        return True
