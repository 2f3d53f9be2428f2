"""How an operation ends, and which one follows from what a person wants."""

from datetime import datetime
from typing import Any

from django.db import transaction

from towns import alerts, history
from towns.flows.begin import begin, has_living_namesake
from towns.flows.run import Run
from towns.flows.wish import Wish
from towns.models import Alert, Operation, Town
from towns.words import (
    BESIDE,
    TRANSITIONS,
    DesiredState,
    OperationKind,
    OperationState,
    Status,
    StopReason,
)

PASSING = frozenset(row.during for row in TRANSITIONS.values() if row.during)


@transaction.atomic
def succeed(run: Run) -> Operation | None:
    """Close the operation as done, set the status, and begin what follows, if anything does."""
    town = _lock(run)
    operation = run.operation
    _close(run, OperationState.SUCCEEDED, "")
    then = TRANSITIONS[OperationKind(operation.kind)].then
    if then is not None:
        _arrive(run, town, then)
    _resolve_alerts(town, operation, run.now)
    return _follow(run, town, success=True)


@transaction.atomic
def fail(run: Run, reason: str, *, called_off: bool = False) -> Operation | None:
    """Close the operation as failed, set the status that the table says, and alert."""
    town = _lock(run)
    operation = run.operation
    _close(run, OperationState.FAILED, reason)
    kind = OperationKind(operation.kind)
    to = status_after_failure(kind, operation, town)
    again = called_off and _is_wanted_again(town, kind)
    if not again:
        _reset_desire(town, kind, to)
    event_kind = operation.learned.get("failed_event") or (
        f"{kind}_called_off" if called_off else f"{kind}_failed"
    )
    facts = {"step": operation.step, **operation.learned.get("report", {})}
    if town.status == to:
        town.save(update_fields=["desired_state", "stop_reason"])
        history.record(
            town,
            event_kind,
            actor=run.actor,
            now=run.now,
            reason=reason,
            operation=operation,
            data=facts,
        )
    else:
        history.change_status(
            town,
            to,
            kind=event_kind,
            actor=run.actor,
            now=run.now,
            reason=reason,
            operation=operation,
            data=facts,
            also=("desired_state", "stop_reason"),
        )
    if not called_off and kind not in BESIDE:  # what a drill proves, it tells by itself
        alerts.open_alert(
            cause=f"{kind}_failed",
            town=town,
            severity="critical" if to == Status.ERROR else "warning",
            message=f"{town}: {kind} failed. {reason}",
            now=run.now,
            data={"operation": str(operation.pk)},
        )
    if again:
        return _go_on(run, town, kind)
    if called_off and (to, town.desired_state) == (Status.ERROR, DesiredState.RUNNING):
        return _go_on(run, town, OperationKind.START)
    return _follow(run, town, success=False)


@transaction.atomic
def hand_over(run: Run, kind: OperationKind, reason: str) -> Operation:
    """Close the operation in favour of another kind that has to do it."""
    town = _lock(run)
    _close(run, OperationState.SUPERSEDED, reason)
    successor = begin(
        town,
        kind,
        actor=run.actor,
        now=run.now,
        reason=reason,
        params=run.operation.params,
        data={"rule": "provably lost", "instead_of": run.operation.kind},
    )
    return _link(run.operation, successor)


@transaction.atomic
def supersede(run: Run) -> Operation | None:
    """Close the operation in favour of the destroy that a person has asked for meanwhile; None if
    they have changed their mind again."""
    town = _lock(run)
    if town.desired_state != DesiredState.DESTROYED:
        return None
    wish = Wish.of(run.operation) or Wish(run.actor, "destroy was asked for")
    _close(run, OperationState.SUPERSEDED, wish.reason)
    return _link(run.operation, _grant(town, OperationKind.DESTROY, wish, run.now))


def _lock(run: Run) -> Town:
    """Lock the town, then the operation through its lease: the order that `actions` keeps too."""
    run.town = history.lock_town(run.town.pk)
    run.save_operation(lease_owner=run.operation.lease_owner)
    run.operation.refresh_from_db(fields=["params"])
    return run.town


def _grant(town: Town, kind: OperationKind, wish: Wish, now: datetime) -> Operation:
    return begin(
        town, kind, actor=wish.actor, now=now, reason=wish.reason, params=dict(wish.params)
    )


def _close(run: Run, state: OperationState, message: str) -> None:
    run.save_operation(
        state=state, finished_at=run.now, message=message, lease_until=None, lease_owner=""
    )


def _arrive(run: Run, town: Town, to: Status) -> None:
    """Change the status at a good end, with the fields that go with it."""
    now, operation = run.now, run.operation
    data: dict[str, Any] = dict(operation.learned.get("report", {}))
    also: list[str] = []
    if to == Status.RUNNING:
        if town.episode_since is not None:
            data["downtime_seconds"] = round((now - town.episode_since).total_seconds())
            data["episode_cause"] = town.failure_kind
            town.episode_ended_at = now
        values: dict[str, Any] = {
            "awake_since": now,
            "first_ran_at": town.first_ran_at or now,
            "consecutive_failures": 0,
            "episode_since": None,
            "episode_ended_at": town.episode_ended_at,
            "failure_kind": "",
            "failure_reason": "",
            "destroyed_at": None,
            "stop_reason": town.stop_reason if town.desired_state == DesiredState.STOPPED else "",
        }
    elif to == Status.STOPPED:
        values = {"awake_since": None, "idle_sync_failures": 0, "consecutive_failures": 0}
        values |= {"episode_since": None, "failure_kind": "", "failure_reason": ""}
    else:
        values = {"awake_since": None, "machine_id": "", "volume_id": ""}
    for name, value in values.items():
        setattr(town, name, value)
        also.append(name)
    history.change_status(
        town,
        to,
        kind=f"{operation.kind}_done",
        actor=run.actor,
        now=now,
        reason=_told(operation),
        operation=operation,
        data=data,
        also=tuple(also),
    )


def _told(operation: Operation) -> str:
    """What the town's status says of a good end: what was done, and for which reason."""
    because = f" ({operation.reason.rstrip('.')})" if operation.reason else ""
    return f"{operation.kind.capitalize()} succeeded{because}."


def status_after_failure(kind: OperationKind, operation: Operation, town: Town) -> Status:
    """The table's answer; "the status before" is `error` where that was a passing one.

    Beside an operation that runs so, sweeps go on changing the status.
    """
    if kind in BESIDE:
        return Status(town.status)
    if forced := operation.learned.get("failed_status"):
        return Status(forced)
    if (failed := TRANSITIONS[kind].failed) is not None:
        return failed
    before = Status(operation.status_before)
    return Status.ERROR if before in PASSING else before


def _is_wanted_again(town: Town, kind: OperationKind) -> bool:
    """Whether a person asked for the same just when it was called off: then it begins anew."""
    if kind == OperationKind.STOP:
        wanted = town.desired_state == DesiredState.STOPPED
        return wanted and town.stop_reason == StopReason.PERSON
    return kind == OperationKind.DESTROY and town.desired_state == DesiredState.DESTROYED


def _reset_desire(town: Town, kind: OperationKind, to: Status) -> None:
    """What was wanted could not be had: don't let it be tried for ever behind people's backs."""
    failed_desire = {
        OperationKind.STOP: DesiredState.STOPPED,
        OperationKind.DESTROY: DesiredState.DESTROYED,
        OperationKind.RESTORE: DesiredState.RUNNING,
    }.get(kind)
    if failed_desire is None or town.desired_state != failed_desire:
        return
    if to == Status.DESTROYED:
        town.desired_state = DesiredState.DESTROYED
    elif to == Status.STOPPED or (to == Status.ERROR and kind == OperationKind.STOP):
        town.desired_state = DesiredState.STOPPED
    else:
        town.desired_state = DesiredState.RUNNING
        town.stop_reason = ""


def _resolve_alerts(town: Town, operation: Operation, now: datetime) -> None:
    causes = [f"{operation.kind}_failed"]
    if operation.kind == OperationKind.DRILL:
        causes.append("corrupt_snapshot")  # its newest snapshot was seen to restore
    arrived = TRANSITIONS[OperationKind(operation.kind)].then  # a backup or a drill: nowhere
    if arrived == Status.RUNNING:
        kinds = ("provision", "start", "restart", "recover", "stop", "destroy")
        causes += [f"{kind}_failed" for kind in kinds]
        causes += ["restart_limit", "machine_gone"]
    elif arrived == Status.DESTROYED:  # what is left at Fly is still news
        standing = Alert.objects.filter(town=town, resolved_at=None).exclude(cause="old_volume")
        causes += standing.values_list("cause", flat=True)
    alerts.resolve_alerts(
        town=town, causes=causes, resolution=f"{operation.kind} succeeded", now=now
    )


def _follow(run: Run, town: Town, *, success: bool) -> Operation | None:
    """Begin the operation that the desired state asks for now, or none."""
    if run.operation.kind in BESIDE:
        return None  # it has changed nothing, so nothing follows from it
    kind = following(Status(town.status), DesiredState(town.desired_state))
    if kind is None or (not success and kind == run.operation.kind):
        return None
    wish = Wish.of(run.operation)
    if wish is None:
        if not success:
            return None
        wish = Wish(run.actor, "follows from the desired state")
    if kind == OperationKind.RESTORE and has_living_namesake(town):
        _refuse_restore(run, town, wish)
        return None
    return _link(run.operation, _grant(town, kind, wish, run.now))


def _go_on(run: Run, town: Town, kind: OperationKind) -> Operation:
    """Who changes their mind gets what they want, also where the status before says nothing: the
    town was in error, or on its way elsewhere when a destroy superseded that."""
    wish = Wish.of(run.operation) or Wish(run.actor, f"its {run.operation.kind} was called off")
    return _link(run.operation, _grant(town, kind, wish, run.now))


def _refuse_restore(run: Run, town: Town, wish: Wish) -> None:
    """Its name was free from the soft-delete on, and was taken before its destroy had ended."""
    town.desired_state = DesiredState.DESTROYED
    town.save(update_fields=["desired_state"])
    history.record(
        town,
        "restore_refused",
        actor=wish.actor,
        now=run.now,
        reason=f"{town} can't be restored while another town of its owner has that name.",
        operation=run.operation,
    )


def following(status: Status, desired: DesiredState) -> OperationKind | None:
    """Which operation brings a town that rests in `status` to `desired`; None: nothing to do."""
    if desired == DesiredState.DESTROYED:
        return None if status == Status.DESTROYED else OperationKind.DESTROY
    if status == Status.DESTROYED:
        return OperationKind.RESTORE if desired == DesiredState.RUNNING else None
    if desired == DesiredState.RUNNING and status == Status.STOPPED:
        return OperationKind.START
    if desired == DesiredState.STOPPED and status in {Status.RUNNING, Status.UNHEALTHY}:
        return OperationKind.STOP
    return None


def _link(operation: Operation, successor: Operation) -> Operation:
    Operation.objects.filter(pk=operation.pk).update(successor=successor)
    return successor
