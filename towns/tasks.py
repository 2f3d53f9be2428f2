"""django-q2's entry points. Each bears running twice."""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django_q.tasks import async_task

from towns import alerts
from towns.bulk_work import working
from towns.flows import left_over
from towns.flows.slots import drive_in_slot
from towns.models import SweepChunk
from towns.replay import runs
from towns.services import default_services
from towns.sweeps import backups, health, idle, reconcile, turns
from towns.sweeps.slots import slot_of
from towns.upkeep import prune
from towns.webhooks import deliver

HISTORY_SECONDS = 60
"""For so long a task makes figures or prunes; what is left then is another task, since django-q2
kills one that takes long."""
log = logging.getLogger(__name__)


def drive() -> int:
    """Drive the operations that are due, for a while."""
    return drive_in_slot(default_services())


def bulk_work() -> int:
    """Go on with bulk runs for a while; returns how many still have something to do."""
    return working.work(default_services().clock)


def sweep_health(slot: str) -> int:
    """Begin the health sweep of a scheduled time; runners on any host work at it. Returns how many
    chunks it has left."""
    moment = slot_of(datetime.fromisoformat(slot), settings.GASTOWN_HEALTH_PERIOD_SECONDS)
    sweep = health.begin_sweep(moment, timezone.now())
    if sweep is None:
        return 0
    unfinished = sweep.chunks.filter(finished_at=None).count()
    if unfinished:
        turns.call_runner(sweep.pk)
    else:
        health.conclude(sweep, default_services())
    return unfinished


def health_chunk(chunk_id: int) -> int:
    """A task that was enqueued before an upgrade: whoever gets it works at the chunk's sweep."""
    return run_health_sweep(SweepChunk.objects.get(pk=chunk_id).sweep_id)


def run_health_sweep(sweep_id: int) -> int:
    """Work at a health sweep for a while; returns how many chunks were stored."""
    return turns.take_turn(sweep_id, default_services())


def sweep_idle(slot: str) -> int:
    """The idle sweep of a scheduled time; returns how many towns it stops."""
    moment = slot_of(datetime.fromisoformat(slot), settings.GASTOWN_IDLE_PERIOD_SECONDS)
    return idle.sweep_idle(default_services(), slot=moment).stopped


def sweep_reconcile(slot: str) -> int:
    """The reconciliation of a scheduled time; returns how many drifts it found."""
    moment = slot_of(datetime.fromisoformat(slot), settings.GASTOWN_RECONCILE_PERIOD_SECONDS)
    return len(reconcile.sweep_reconcile(default_services(), slot=moment).handled)


def sweep_backups(slot: str) -> int:
    """The sweep of backups of a scheduled time; returns how many towns it looked at."""
    moment = slot_of(datetime.fromisoformat(slot), settings.GASTOWN_BACKUPS_PERIOD_SECONDS)
    return sum(backups.sweep_backups(default_services(), slot=moment).results.values())


def clean_up_drills() -> int:
    """Remove what restore drills have left over; returns how much is still going away."""
    return left_over.clean_up(default_services()).left


def deliver_alerts() -> int:
    """Tell people about alerts; returns how many."""
    return alerts.deliver_alerts(timezone.now())


def deliver_webhooks() -> int:
    """Tell webhooks of lifecycle events; returns how many arrived."""
    return deliver.deliver_webhooks(timezone.now())


def go_on_with_replay(run_id: str) -> None:
    """Replay towns for a while; what is left then is another task."""
    if not runs.go_on(UUID(run_id), default_services().clock.now, enough=_time_is_up()):
        runs.call_worker(UUID(run_id))


def prepare_history() -> None:
    """Make partitions ahead and hourly figures."""
    _goes_on("towns.tasks.prepare_history", prune.prepare(timezone.now(), enough=_time_is_up()))


def prune_history() -> None:
    """Remove what is older than it is kept for."""
    r2, enough = default_services().r2, _time_is_up()
    _goes_on("towns.tasks.prune_history", prune.prune(timezone.now(), r2=r2, enough=enough))


def _time_is_up() -> Callable[[], bool]:
    until = time.monotonic() + HISTORY_SECONDS
    return lambda: time.monotonic() > until


def _goes_on(task: str, done: prune.Pruned) -> None:
    for text in done.left:
        log.warning("%s The next run tries again.", text)
    if done.unfinished:
        async_task(task)
