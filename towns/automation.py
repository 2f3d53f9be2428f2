"""What holds automation back: freezes, open breakers, and the budget of recoveries."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from towns import alerts
from towns.budgets import room_left, why_no_room
from towns.history import Actor
from towns.models import Breaker, Freeze, MaintenanceWindow, Operation
from towns.standing import FLEET as FLEET
from towns.standing import Cause, frozen_text, read_standing
from towns.standing import scopes as scopes
from towns.standing import scopes_of as scopes_of
from towns.words import OperationKind

RULE = Actor.automation("rule:recovery-budget")


def freeze(
    scope: str, *, reason: str, actor: Actor, now: datetime, until: datetime | None = None
) -> Freeze:
    """Halt automatic actions. A freeze of the scope that stands already gets the new reason."""
    fields = {"reason": reason, "actor": actor.name, "until": until}
    standing = standing_freeze(scope, now)
    if standing is None:
        try:
            with transaction.atomic():
                return Freeze.objects.create(scope=scope, since=now, **fields)
        except IntegrityError:  # somebody was faster
            standing = Freeze.objects.get(scope=scope, thawed_at=None)
    Freeze.objects.filter(pk=standing.pk).update(**fields)
    standing.refresh_from_db()
    return standing


def thaw(scope: str, *, actor: Actor, now: datetime) -> bool:
    """Let automatic actions go on; returns whether there was a freeze."""
    standing = Freeze.objects.filter(scope=scope, thawed_at=None)
    return _end(standing, scope, at=now, by=actor.name, resolution=f"thawed by {actor.name}")


@transaction.atomic
def _end(standing: QuerySet[Freeze], scope: str, *, at: datetime, by: str, resolution: str) -> bool:
    """End a freeze, together with the alert about it."""
    ended = standing.update(thawed_at=at, thawed_by=by) > 0
    if ended and scope == Freeze.Scope.RECOVERY:
        alerts.resolve_alerts(
            subject=FLEET, causes=["recovery_frozen"], resolution=resolution, now=at
        )
    return ended


def standing_freeze(scope: str, now: datetime) -> Freeze | None:
    """The freeze of a scope that stands now, or None. One whose time is over is ended."""
    found = Freeze.objects.filter(scope=scope, thawed_at=None).first()
    if found is None or found.until is None or found.until > now:
        return found
    standing = Freeze.objects.filter(pk=found.pk, thawed_at=None, until=found.until)
    _end(standing, scope, at=found.until, by="its time was over", resolution="its time was over")
    return None


def end_what_is_over(now: datetime) -> None:
    """End the freezes whose time is over: they hold nothing any more, and their alerts close."""
    over = Freeze.objects.filter(thawed_at=None, until__lte=now)
    for scope in over.values_list("scope", flat=True):
        standing_freeze(scope, now)


def frozen(now: datetime) -> str | None:
    """Why no automatic action may be taken now; None when it may."""
    standing = standing_freeze(Freeze.Scope.ALL, now)
    return None if standing is None else frozen_text(standing)


def plan_window(
    scope: str, *, since: datetime, until: datetime, reason: str, actor: Actor, now: datetime
) -> MaintenanceWindow:
    """Keep automatic actions away from the towns of a scope for a time, which may lie ahead.

    The values are validated by the caller (`towns.changes.validated_window`).
    """
    return MaintenanceWindow.objects.create(
        scope=scope, since=since, until=until, reason=reason, actor=actor.name, created_at=now
    )


def end_window(window_id: int, *, actor: Actor, now: datetime) -> bool:
    """End a window before its time; returns whether there was one to end."""
    standing = MaintenanceWindow.objects.filter(pk=window_id, ended_at=None, until__gt=now)
    return standing.update(ended_at=now, ended_by=actor.name) > 0


def open_breakers() -> dict[str, Breaker]:
    """The breakers that hold towns back now, by their scope."""
    return {breaker.scope: breaker for breaker in Breaker.objects.all()}


def _why_no_room() -> str | None:
    return None if room_left() > 0 else f"{why_no_room()}."


def hold_recovery(operation: Operation, now: datetime) -> str | None:
    """Why an automatic recovery has to wait; None when it may go on, if it gets a place.

    Too many at once are a fault of ours or of Fly's until staff confirm: the recovery that is one
    too many freezes recovery, with one alert.
    """
    for held in read_standing(now).held_back(operation.town, now):
        if held.cause == Cause.BREAKER:
            return f"Nothing is recovered meanwhile: {held.why}"
        return f"It is not recovered yet: {held.why}"
    standing = standing_freeze(Freeze.Scope.RECOVERY, now)
    too_many = _is_one_too_many(operation)
    if standing is not None and standing.actor == RULE.name and not too_many:
        return _why_no_room()  # one of those that are within the limit, looked at late
    if standing is None and too_many:
        limit, minutes = settings.GASTOWN_RECOVERY_LIMIT, settings.GASTOWN_RECOVERY_WINDOW_MINUTES
        reason = (
            f"Over {limit} automatic recoveries within {minutes} min: many towns gone at once is "
            "our fault or Fly's until staff confirm."
        )
        standing = _freeze_recovery(reason, now)
    return _why_no_room() if standing is None else f"Recovery is frozen. {standing.reason}"


@transaction.atomic
def _freeze_recovery(reason: str, now: datetime) -> Freeze:
    """The rule's freeze and its alert: a freeze that nobody is told of would stand for ever."""
    standing = freeze(Freeze.Scope.RECOVERY, reason=reason, actor=RULE, now=now)
    alerts.open_alert(
        cause="recovery_frozen",
        subject=FLEET,
        severity="critical",
        message=f"Automatic recovery is frozen. {reason} Check the Fly token and the app, then "
        "let it go on: `manage.py automation thaw --scope recovery`.",
        now=now,
    )
    return standing


def _is_one_too_many(operation: Operation) -> bool:
    """Decided by the order in which they were asked for, so that every worker says the same."""
    window = timedelta(minutes=settings.GASTOWN_RECOVERY_WINDOW_MINUTES)
    since = operation.created_at - window
    thawed = Freeze.objects.filter(scope=Freeze.Scope.RECOVERY, thawed_at__isnull=False).first()
    if thawed is not None and thawed.thawed_at is not None:
        if thawed.thawed_at >= operation.created_at:
            return False
        since = max(since, thawed.thawed_at)
    before = Q(created_at__lt=operation.created_at) | Q(
        created_at=operation.created_at, pk__lt=operation.pk
    )
    earlier = Operation.objects.filter(
        before, kind=OperationKind.RECOVER, automatic=True, created_at__gt=since
    )
    limit: int = settings.GASTOWN_RECOVERY_LIMIT
    return earlier.count() >= limit
