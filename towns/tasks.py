"""django-q2's entry points. Each bears running twice."""

from datetime import datetime

from django.conf import settings
from django.utils import timezone
from django_q.tasks import async_task

from towns import alerts
from towns.flows.slots import drive_in_slot
from towns.models import SweepChunk
from towns.services import default_services
from towns.sweeps import health, idle
from towns.sweeps.slots import slot_of


def drive() -> int:
    """Drive the operations that are due, for a while."""
    return drive_in_slot(default_services())


def sweep_health(slot: str) -> int:
    """Begin the health sweep of a scheduled time; its chunks are tasks of their own."""
    moment = slot_of(datetime.fromisoformat(slot), settings.GASTOWN_HEALTH_PERIOD_SECONDS)
    sweep = health.begin_sweep(moment, timezone.now())
    if sweep is None:
        return 0
    unfinished = list(sweep.chunks.filter(finished_at=None))
    for chunk in unfinished:
        async_task("towns.tasks.health_chunk", chunk.pk)
    if not unfinished:
        health.conclude(sweep, default_services())
    return len(unfinished)


def health_chunk(chunk_id: int) -> None:
    """Sweep one chunk; the last one concludes the sweep."""
    chunk = SweepChunk.objects.select_related("sweep").get(pk=chunk_id)
    services = default_services()
    health.run_chunk(chunk, services)
    health.conclude(chunk.sweep, services)


def sweep_idle(slot: str) -> int:
    """The idle sweep of a scheduled time; returns how many towns it stops."""
    moment = slot_of(datetime.fromisoformat(slot), settings.GASTOWN_IDLE_PERIOD_SECONDS)
    return idle.sweep_idle(default_services(), slot=moment).stopped


def deliver_alerts() -> int:
    """Tell people about alerts; returns how many."""
    return alerts.deliver_alerts(timezone.now())
