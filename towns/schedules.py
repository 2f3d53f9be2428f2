"""The django-q2 schedules, made by name so that making them again changes nothing."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connections

NAMES = (
    "health sweep",
    "idle sweep",
    "reconcile sweep",
    "backups sweep",
    "drive operations",
    "bulk work",
    "deliver alerts",
    "deliver webhooks",
    "prepare history",
    "prune history",
)


@dataclass(frozen=True, slots=True)
class Planned:
    """One schedule: a cron line, or None for every minute."""

    name: str
    func: str
    cron: str
    slot: bool = False


def planned() -> list[Planned]:
    """What should be scheduled under the present settings."""
    return [
        Planned(
            "health sweep",
            "towns.tasks.sweep_health",
            cron(settings.GASTOWN_HEALTH_PERIOD_SECONDS),
            slot=True,
        ),
        Planned(
            "idle sweep",
            "towns.tasks.sweep_idle",
            cron(settings.GASTOWN_IDLE_PERIOD_SECONDS),
            slot=True,
        ),
        Planned(
            "reconcile sweep",
            "towns.tasks.sweep_reconcile",
            cron(settings.GASTOWN_RECONCILE_PERIOD_SECONDS),
            slot=True,
        ),
        Planned(
            "backups sweep",
            "towns.tasks.sweep_backups",
            cron(settings.GASTOWN_BACKUPS_PERIOD_SECONDS),
            slot=True,
        ),
        Planned("drive operations", "towns.tasks.drive", cron(60)),
        Planned("bulk work", "towns.tasks.bulk_work", cron(60)),
        Planned("deliver alerts", "towns.tasks.deliver_alerts", cron(60)),
        Planned("deliver webhooks", "towns.tasks.deliver_webhooks", cron(60)),
        Planned("prepare history", "towns.tasks.prepare_history", "11 * * * *"),
        Planned("prune history", "towns.tasks.prune_history", "41 3 * * *"),
    ]


def names_by_func() -> dict[str, str]:
    """The schedules by the function that they call."""
    return {plan.func: plan.name for plan in planned()}


def cron(period_seconds: int) -> str:
    """The cron line for a period; a schedule is never finer than a minute."""
    minutes = max(1, period_seconds // 60)
    return f"*/{minutes} * * * *" if minutes < 60 else "0 * * * *"


def set_up(using: str = "default") -> list[str]:
    """Make or mend the schedules; returns the names of those that were made or changed.

    The slot of a sweep is passed in by django-q2 as the time that was scheduled, so that a task
    that runs late or twice still knows it.
    """
    from django_q.models import Schedule  # here, since apps are loaded before models

    changed = []
    for plan in planned():
        fields: dict[str, Any] = {
            "func": plan.func,
            "schedule_type": Schedule.CRON,
            "cron": plan.cron,
            "repeats": -1,
            "intended_date_kwarg": "slot" if plan.slot else None,
        }
        found = Schedule.objects.using(using).filter(name=plan.name).order_by("pk")
        first = found.first()
        if first is None:
            Schedule.objects.using(using).create(name=plan.name, **fields)
        elif found.filter(**fields).first() != first:
            Schedule.objects.using(using).filter(pk=first.pk).update(**fields)
        else:
            found.exclude(pk=first.pk).delete()
            continue
        found.exclude(pk__in=found.values("pk")[:1]).delete()
        changed.append(plan.name)
    return changed


def after_migrate(using: str = "default", **_: Any) -> None:
    """Signal handler: schedules exist as soon as their table does."""
    if "django_q_schedule" in connections[using].introspection.table_names():
        set_up(using)
