"""What is kept for how long, and the removing of what is older.

Small transactions one after the other: whoever is killed in between, or runs twice at once, has
removed less, never more. Lifecycle events stay for ever, and with them the operations and towns
that they name. Nothing goes that something else refers to, but for what belongs to the row itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import CASCADE, Exists, F, ForeignObjectRel, OuterRef, Q, QuerySet
from django_q.models import Task

from towns import budgets
from towns.models import (
    Alert,
    Backup,
    BulkItem,
    BulkRun,
    HealthCheck,
    HealthHour,
    IdempotentRequest,
    ReplayRun,
    Sweep,
    WebhookDelivery,
    WebhookEndpoint,
)
from towns.services import R2
from towns.services.errors import ServiceError
from towns.upkeep import hours, partitions, retained
from towns.upkeep.partitions import Busy, Partition

BATCH = 5000
"""Rows removed in one transaction."""
REQUESTS_DAYS = 2
"""For how long the answer to an idempotency key is repeated."""


@dataclass(frozen=True, slots=True)
class Old:
    """Rows of one kind that are older than they are kept for, the oldest first where it matters."""

    name: str
    rows: QuerySet[Any]


@dataclass(slots=True)
class Pruned:
    """What was done, or would be; `left` says what could not be done now, and why."""

    partitions_made: int = 0
    partitions_dropped: int = 0
    hours_made: int = 0
    removed: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    unfinished: bool = False


def old_rows(now: datetime) -> list[Old]:
    """All kinds but health checks. A model that grows without bound has a line here."""

    def before(days: int) -> datetime:
        return now - timedelta(days=days)

    checks, figures = settings.GASTOWN_KEEP_CHECKS_DAYS, settings.GASTOWN_KEEP_HOURS_DAYS
    told = before(settings.GASTOWN_KEEP_ALERTS_DAYS)
    asked = before(REQUESTS_DAYS)
    return [
        Old("health_hours", HealthHour.objects.filter(hour__lt=before(figures)).order_by("hour")),
        Old("sweeps", _by_age(Sweep, "finished_at", before(checks))),
        Old("requests", _by_age(IdempotentRequest, "created_at", asked)),
        Old("alerts", _by_age(Alert, "resolved_at", told)),
        Old("backups", _by_age(Backup, "gone_at", before(checks))),
        Old("bulk_items", _by_age(BulkItem, "run__created_at", before(checks))),
        Old("bulk_runs", _by_age(BulkRun, "created_at", before(checks))),
        Old("replays", _by_age(ReplayRun, "created_at", before(checks))),
        Old("webhook_deliveries", _told_to_webhooks(before(checks))),
        Old("webhooks", _by_age(WebhookEndpoint, "removed_at", before(checks))),
        Old("buckets", budgets.full_buckets(now)),
        # django-q2 bounds the successes itself, failures it keeps.
        Old("tasks", _by_age(Task, "stopped", before(checks))),
        Old("sessions", _by_age(Session, "expire_date", now)),
    ]


def prune(
    now: datetime, *, r2: R2, dry_run: bool = False, enough: Callable[[], bool] = lambda: False
) -> Pruned:
    """Make partitions ahead and hourly figures, then remove what is old, until `enough` says so.

    A dry run changes nothing and counts.
    """
    done = Pruned()
    if not dry_run:
        _prepare(done, now, enough)
    _prune_checks(done, partitions.midnight(_checks_before(now)), dry_run, enough)
    for old in old_rows(now):
        rows = _unreferenced(old.rows)
        done.removed[old.name] = rows.count() if dry_run else _remove(rows, enough)
    done.unfinished = not dry_run and enough()
    _expire_retained(done, now, r2, dry_run, enough)
    return done


def prepare(now: datetime, *, enough: Callable[[], bool] = lambda: False) -> Pruned:
    """Make partitions ahead and the figures of the hours that are over."""
    done = Pruned()
    _prepare(done, now, enough)
    done.unfinished = enough()
    return done


def _prepare(done: Pruned, now: datetime, enough: Callable[[], bool]) -> None:
    try:
        done.partitions_made = len(partitions.make_ahead(now))
    except Busy as error:
        done.left.append(f"Partitions could not be made: {error}")
    done.hours_made = hours.make_hours(now, enough=enough)


def _checks_before(now: datetime) -> datetime:
    return now - timedelta(days=settings.GASTOWN_KEEP_CHECKS_DAYS)


def _prune_checks(done: Pruned, old: datetime, dry_run: bool, enough: Callable[[], bool]) -> None:
    """Checks go by the day, on PostgreSQL as whole partitions, and never before their figures
    are kept."""
    done.removed["health_checks"] = 0
    if partitions.is_partitioned():
        for partition in partitions.partitions():
            if partition.until <= old and not enough():
                _drop(done, partition, dry_run, enough)
        if dry_run:
            done.removed["health_checks"] += partitions.in_default(old)
        return
    rows = HealthCheck.objects.filter(checked_at__lt=old).order_by("checked_at")
    if dry_run:
        done.removed["health_checks"] = rows.count()
    elif _kept_in_hours(done, None, old, enough) is not None:
        done.removed["health_checks"] = _remove(rows, enough)


def _drop(done: Pruned, partition: Partition, dry_run: bool, enough: Callable[[], bool]) -> None:
    # Asked by time, not by name: another run may be dropping it just now.
    since, until = partition.since, partition.until
    if dry_run:
        checks = HealthCheck.objects.filter(checked_at__lt=until)
        count = (checks if since is None else checks.filter(checked_at__gte=since)).count()
    else:
        kept = _kept_in_hours(done, since, until, enough)
        try:
            if kept is None or not partitions.drop(partition):
                return
        except Busy as error:
            done.left.append(f"{partition.name} could not be dropped: {error}")
            return
        count = kept
    done.partitions_dropped += 1
    done.removed["health_checks"] += count


def _kept_in_hours(
    done: Pruned, since: datetime | None, before: datetime, enough: Callable[[], bool]
) -> int | None:
    """Make the figures that miss checks of a span; how many checks they hold, None if not all."""
    count = 0
    for one in hours.counted(before, since=since):
        if enough():
            return None
        count += one.checks
        if one.checks == one.told or not hours.is_missing(one.hour):
            continue
        hours.make_hour(one.hour)
        done.hours_made += 1
        if hours.is_missing(one.hour):
            done.left.append(
                f"Checks before {before:%Y-%m-%d} stay: the figures of {one.hour:%Y-%m-%d %H:%M} "
                "are not made."
            )
            return None
    return count


def _expire_retained(
    done: Pruned, now: datetime, r2: R2, dry_run: bool, enough: Callable[[], bool]
) -> None:
    """The last thing, and no reason for another run: where R2 does it, the list may be long."""
    done.removed["retained_objects"] = 0
    if done.unfinished:
        return
    try:
        done.removed["retained_objects"] = retained.expire(r2, now, dry_run=dry_run, enough=enough)
    except ServiceError as error:
        done.left.append(f"Retained backups could not be expired: {error}")


def _by_age(model: Any, moment: str, before: datetime) -> QuerySet[Any]:
    return model._default_manager.filter(**{f"{moment}__lt": before}).order_by(moment)  # type: ignore[no-any-return]  # of any model


def _told_to_webhooks(before: datetime) -> QuerySet[Any]:
    """What the history is still looked through for stays: it would be told again."""
    old = _by_age(WebhookDelivery, "ended_at", before)
    removed = Q(endpoint__removed_at__isnull=False)
    return old.filter(removed | Q(event_id__lte=F("endpoint__settled")))


def _unreferenced(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Without those that other rows point to, unless these belong to them (CASCADE)."""
    for relation in rows.model._meta.related_objects:
        if isinstance(relation, ForeignObjectRel) and relation.on_delete is not CASCADE:
            pointing = relation.related_model._base_manager.filter(
                **{relation.field.name: OuterRef("pk")}
            )
            rows = rows.exclude(Exists(pointing))
    return rows


def _remove(rows: QuerySet[Any], enough: Callable[[], bool]) -> int:
    """In batches, so that no lock is held for long; what another run removes just now is skipped.
    The rows come by their time: by their key the last batch would be looked for among all that
    stay."""
    removed = 0
    while not enough():
        with transaction.atomic():
            ids = list(
                rows.select_for_update(skip_locked=True).values_list("pk", flat=True)[:BATCH]
            )
            _, by_model = rows.model._default_manager.filter(pk__in=ids).delete()
        removed += by_model.get(rows.model._meta.label, 0)
        if len(ids) < BATCH:
            break
    return removed
