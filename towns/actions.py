"""The one door for whoever wants something of a town: people, sweeps, the dashboard, commands.

Every function takes the town's row lock, looks at the status table, and either begins an operation,
changes what is wanted of the one under way, or raises `NotAllowed` with the reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from towns import drills, history
from towns.changes import why_unchangeable
from towns.flows.begin import begin, call_driver, has_living_namesake
from towns.flows.wish import Wish
from towns.fly_apps import app_for
from towns.history import Actor
from towns.models import Operation, Town
from towns.words import (
    BESIDE,
    TRANSITIONS,
    DesiredState,
    OperationKind,
    OperationState,
    Status,
    StopReason,
)


class NotAllowed(Exception):
    """The town's status doesn't allow it; `reason` says why and what would. A 409 in the API."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Requested:
    """The operation that does what was asked for, and whether it began just now.

    Where another operation has to end first, `operation` is that one and `note` says what follows.
    """

    operation: Operation
    created: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Request:
    """A request and the locked rows that it is about."""

    kind: OperationKind
    town: Town
    operation: Operation | None
    actor: Actor
    now: datetime
    reason: str
    params: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] | None = None
    beside: Operation | None = None
    """An operation that runs beside the town's life, and is called off by what is begun."""

    def begin(self, desired: DesiredState | None = None, **fields: Any) -> Requested:
        """Begin the operation, if the status table allows it."""
        if why := refusal(self.kind, self.town, self.operation):
            raise NotAllowed(why)
        self._want(desired, **fields)
        if self.beside is not None:
            drills.call_off(self.beside, self.town, self.kind, actor=self.actor, now=self.now)
        operation = begin(
            self.town,
            self.kind,
            actor=self.actor,
            now=self.now,
            reason=self.reason,
            params=self.params,
            data=self.data,
        )
        return Requested(operation, created=True)

    def follow(self, desired: DesiredState, note: str, **fields: Any) -> Requested:
        """Change what is wanted, so that it follows when the operation under way has ended."""
        assert self.operation is not None
        self._want(desired, **fields)
        Wish(self.actor, self.reason, self.params).keep(self.operation)
        history.record(
            self.town,
            "wanted",
            actor=self.actor,
            now=self.now,
            reason=self.reason or note,
            operation=self.operation,
            data={"desired_state": desired, "operation": self.kind, **(self.data or {})},
        )
        return Requested(self.operation, created=False, note=note)

    def _want(self, desired: DesiredState | None, **fields: Any) -> None:
        if desired is not None:
            fields["desired_state"] = desired
        for name, value in fields.items():
            setattr(self.town, name, value)
        if fields:
            self.town.save(update_fields=list(fields))


def request_start(
    town_id: UUID, *, actor: Actor, now: datetime, reason: str = "", kind: str = "start"
) -> Requested:
    """Start a town, or have it started when the operation under way has ended.

    A person's start counts as an interaction of that `kind`. NotAllowed when it runs already, or is
    destroyed.
    """
    with transaction.atomic():
        ask = _ask(OperationKind.START, town_id, actor, now, reason)
        status, operation = Status(ask.town.status), ask.operation
        touch = {"last_interaction_at": now, "last_interaction_kind": kind}
        if operation is None:
            return ask.begin(DesiredState.RUNNING, stop_reason="", **touch)
        if operation.kind == OperationKind.DESTROY:
            return _call_off_destroy(ask, touch)
        if status == Status.RUNNING and ask.town.desired_state == DesiredState.RUNNING:
            raise NotAllowed(_refusal(OperationKind.START, ask.town))
        if operation.kind == OperationKind.START and ask.town.desired_state == DesiredState.RUNNING:
            return Requested(operation, created=False, note="It is starting already.")
        note = (
            "It starts again as soon as it has stopped."
            if operation.kind == OperationKind.STOP
            else f"It runs once its {operation.kind} has ended."
        )
        return ask.follow(DesiredState.RUNNING, note, stop_reason="", **touch)


def request_stop(
    town_id: UUID,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    idle: bool = False,
    data: dict[str, Any] | None = None,
) -> Requested:
    """Stop a town: for being idle, or because a person wants it, which holds until asked.

    A person's stop during an idle stop takes it over. NotAllowed when it is stopped or destroyed.
    """
    why = StopReason.IDLE if idle else StopReason.PERSON
    with transaction.atomic():
        ask = _ask(OperationKind.STOP, town_id, actor, now, reason, data=data)
        operation = ask.operation
        if operation is None:
            if ask.town.status == Status.STOPPED and not idle:
                return _hold_stopped(ask)
            return ask.begin(DesiredState.STOPPED, stop_reason=why)
        if idle or operation.kind in (OperationKind.DESTROY, OperationKind.RESTORE):
            return ask.begin()  # raises, with the reason
        note = f"It stops once its {operation.kind} has ended."
        if operation.kind == OperationKind.STOP:
            note = "It is stopping already, and stays stopped until asked."
        return ask.follow(DesiredState.STOPPED, note, stop_reason=why)


def request_restart(
    town_id: UUID,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    data: dict[str, Any] | None = None,
) -> Requested:
    """Restart a town. NotAllowed unless it is running, unhealthy or in error."""
    with transaction.atomic():
        ask = _ask(OperationKind.RESTART, town_id, actor, now, reason, data=data)
        if ask.operation is not None and ask.operation.kind == OperationKind.RESTART:
            return _again(ask, ask.operation, "It is restarting already.")
        return ask.begin(DesiredState.RUNNING, stop_reason="")


def request_recover(
    town_id: UUID,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    from_backup: bool = False,
) -> Requested:
    """Rebuild what is provably lost of a town.

    `from_backup` gives up a volume that exists but has no room on its host; the old volume stays,
    and is listed for staff. NotAllowed unless unhealthy, in error or stopped.
    """
    params = {"from_backup": True} if from_backup else {}
    with transaction.atomic():
        ask = _ask(OperationKind.RECOVER, town_id, actor, now, reason, params=params)
        if ask.operation is not None and ask.operation.kind == OperationKind.RECOVER:
            return _recover_again(ask, ask.operation)
        return ask.begin(DesiredState.RUNNING, stop_reason="")


def request_backup(
    town_id: UUID,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    data: dict[str, Any] | None = None,
) -> Requested:
    """Back a running town up now. NotAllowed unless it runs."""
    with transaction.atomic():
        ask = _ask(OperationKind.BACKUP, town_id, actor, now, reason, data=data)
        if ask.operation is not None and ask.operation.kind == OperationKind.BACKUP:
            return Requested(ask.operation, created=False, note="A backup is under way already.")
        return ask.begin()


def request_drill(
    town_id: UUID,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    data: dict[str, Any] | None = None,
) -> Requested:
    """Prove that the town's newest snapshot restores, on a throw-away machine beside the town.

    Whatever else is asked for meanwhile calls it off. NotAllowed without a backup, while an
    operation is under way, or when the town is destroyed.
    """
    with transaction.atomic():
        ask = _ask(OperationKind.DRILL, town_id, actor, now, reason, data=data)
        if ask.operation is not None and ask.operation.kind == OperationKind.DRILL:
            return Requested(ask.operation, created=False, note="A drill is under way already.")
        requested = ask.begin()
        drills.begin(requested.operation)
        return requested


def request_destroy(
    town_id: UUID, *, actor: Actor, now: datetime, reason: str = "", discard: bool = False
) -> Requested:
    """Destroy a town after a last verified backup, which is kept for the retention time.

    `discard` goes on without one; the caller has checked that the person may. It supersedes an
    operation under way at its next step boundary. NotAllowed when it is destroyed already.
    """
    params = {"discard": True} if discard else {}
    with transaction.atomic():
        ask = _ask(OperationKind.DESTROY, town_id, actor, now, reason, params=params)
        operation = ask.operation
        if operation is None:
            return ask.begin(DesiredState.DESTROYED)
        if operation.kind == OperationKind.RESTORE:
            note = "It is destroyed again once its restore has ended."
            return ask.follow(DesiredState.DESTROYED, note)
        if operation.kind != OperationKind.DESTROY:
            requested = ask.follow(
                DesiredState.DESTROYED, f"It is destroyed instead of its {operation.kind}."
            )
            _hurry(operation, now)
            return requested
        return _destroy_again(ask, operation)


def request_restore(town_id: UUID, *, actor: Actor, now: datetime, reason: str = "") -> Requested:
    """Bring a destroyed town back from its retained backup.

    While it is being destroyed: calls the destroy off, or restores it afterwards. NotAllowed when
    it lives, when the retention time is over, or when its name is taken by a living town.
    """
    with transaction.atomic():
        ask = _ask(OperationKind.RESTORE, town_id, actor, now, reason)
        town, operation = ask.town, ask.operation
        if operation is not None:
            if operation.kind == OperationKind.RESTORE:
                return _again(ask, operation, "It is being restored already.")
            if operation.kind == OperationKind.DESTROY:
                return _call_off_destroy(ask, {})
            return ask.begin()  # raises, with the reason
        if town.restore_until is not None and town.restore_until <= now:
            raise NotAllowed(
                f"{town}: its backup expired on {town.restore_until:%Y-%m-%d}; "
                "it can't be restored any more."
            )
        _refuse_a_taken_name(town)
        try:
            with transaction.atomic():
                return ask.begin(DesiredState.RUNNING, stop_reason="")
        except IntegrityError:
            _refuse_a_taken_name(town)  # by a town that was created at the same moment
            raise


@transaction.atomic
def create_town(
    owner: User,
    name: str,
    *,
    actor: Actor,
    now: datetime,
    region: str,
    idle_timeout_minutes: int | None = None,
    reason: str = "",
) -> Requested:
    """Create a town and begin to provision it; its fields are validated by the caller's form.

    NotAllowed when the owner has a living town of that name.
    """
    town = Town(
        owner=owner,
        name=name,
        region=region,
        status=Status.PROVISIONING,
        created_at=now,
        status_since=now,
        last_interaction_at=now,
    )
    town.fly_app = app_for(town.pk)
    if idle_timeout_minutes is not None:
        town.idle_timeout_minutes = idle_timeout_minutes
    try:
        with transaction.atomic():
            town.save(force_insert=True)
    except IntegrityError as error:
        raise NotAllowed(
            f"{owner.get_username()} already has a town named {name}. Choose another name."
        ) from error
    operation = begin(
        town, OperationKind.PROVISION, actor=actor, now=now, reason=reason or "created"
    )
    return Requested(operation, created=True)


REQUESTS: Mapping[OperationKind, Callable[..., Requested]] = {
    OperationKind.START: request_start,
    OperationKind.STOP: request_stop,
    OperationKind.RESTART: request_restart,
    OperationKind.RECOVER: request_recover,
    OperationKind.BACKUP: request_backup,
    OperationKind.DRILL: request_drill,
    OperationKind.DESTROY: request_destroy,
    OperationKind.RESTORE: request_restore,
}
"""How each kind of operation is asked for: a town's id, and by name `actor`, `now` and `reason`."""


@transaction.atomic
def change_town(
    town_id: UUID, changes: Mapping[str, Any], *, actor: Actor, now: datetime, reason: str = ""
) -> Town:
    """Change settings of a town; each change that changes something is in its history.

    `changes` may hold idle_timeout_minutes, auto_stop, keep_awake_until, hold_reason, hold_until,
    restarts_cleared_at; values are validated by the caller (`towns.changes`). NotAllowed for a town
    that is destroyed, or about to be.
    """
    town = history.lock_town(town_id)
    before = {name: getattr(town, name) for name in changes}
    changed = {name: value for name, value in changes.items() if before[name] != value}
    if not changed:
        return town
    if why_not := why_unchangeable(town, changed, now):
        raise NotAllowed(why_not)
    for name, value in changed.items():
        setattr(town, name, value)
    town.save(update_fields=list(changed))
    history.record(
        town,
        "changed",
        actor=actor,
        now=now,
        reason=reason,
        data={
            name: {"from": _plain(before[name]), "to": _plain(value)}
            for name, value in changed.items()
        },
    )
    return town


def _ask(
    kind: OperationKind,
    town_id: UUID,
    actor: Actor,
    now: datetime,
    reason: str,
    *,
    params: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> _Request:
    town = history.lock_town(town_id)
    operation = (
        Operation.objects.select_for_update(no_key=True)
        .filter(town=town, state=OperationState.OPEN)
        .first()
    )
    beside = None
    if operation is not None and operation.kind in BESIDE and operation.kind != kind:
        operation, beside = None, operation
    return _Request(kind, town, operation, actor, now, reason, params or {}, data, beside)


def refusal(kind: OperationKind, town: Town, operation: Operation | None) -> str | None:
    """Why an operation of that kind can't begin now, by the status table; None when it can.

    Not the whole answer to a request, which may also follow the operation under way: `preview`.
    """
    if operation is not None:
        return (
            f"{town} can't {kind} now: {operation.kind} is under way. Try again when it has ended."
        )
    if Status(town.status) not in TRANSITIONS[kind].may_start_from:
        return _refusal(kind, town)
    if kind == OperationKind.DRILL and not town.last_snapshot:
        return f"{town} has no backup yet, so there is nothing to restore in a drill."
    return None


def _refusal(kind: OperationKind, town: Town) -> str:
    status = Status(town.status)
    if status == Status.DESTROYED and kind != OperationKind.DESTROY:
        return f"{town} is destroyed. Restore it first, within {_days_left(town)}."
    if status == Status.DESTROYED:
        return f"{town} is destroyed already."
    if kind == OperationKind.RESTORE:
        return f"{town} is {status}, not destroyed: there is nothing to restore."
    if kind == OperationKind.START and status == Status.UNHEALTHY:
        return f"{town} is unhealthy but started. Restart it instead."
    if status == TRANSITIONS[kind].then:
        return f"{town} is {status} already."
    allowed = ", ".join(sorted(TRANSITIONS[kind].may_start_from))
    return f"{town} is {status}; {kind} is possible from {allowed}."


def _days_left(town: Town) -> str:
    return f"its time until {town.restore_until:%Y-%m-%d}" if town.restore_until else "its time"


def _hold_stopped(ask: _Request) -> Requested:
    """A person stops a town that is stopped for being idle: it must not wake by itself any more."""
    if ask.town.stop_reason == StopReason.IDLE:
        ask._want(DesiredState.STOPPED, stop_reason=StopReason.PERSON)
        history.record(
            ask.town,
            "held_stopped",
            actor=ask.actor,
            now=ask.now,
            reason=ask.reason or "stopped by a person while asleep: stays so until asked",
        )
        last = ask.town.operations.filter(kind=OperationKind.STOP).first()
        if last is not None:
            return Requested(last, created=False, note="It is asleep; now it stays stopped.")
    raise NotAllowed(_refusal(OperationKind.STOP, ask.town))


def _hurry(operation: Operation, now: datetime) -> None:
    operation.due_at = now
    operation.save(update_fields=["due_at"])
    call_driver()


def _change_under_way(
    ask: _Request, operation: Operation, event: str, reason: str, **fields: Any
) -> None:
    """Change the operation at a person's word, keep that in the history, and have it go on at once.

    `reason` is told where the person gave none.
    """
    for name, value in fields.items():
        setattr(operation, name, value)
    operation.save(update_fields=list(fields))
    history.record(
        ask.town,
        event,
        actor=ask.actor,
        now=ask.now,
        reason=ask.reason or reason,
        operation=operation,
    )
    _hurry(operation, ask.now)


def _again(ask: _Request, operation: Operation, note: str) -> Requested:
    """The same is under way: nothing new, unless a person had wished for something else since."""
    if ask.actor.automatic or ask.town.desired_state == DesiredState.RUNNING:
        return Requested(operation, created=False, note=note)
    return ask.follow(DesiredState.RUNNING, f"{note} It runs on afterwards.", stop_reason="")


def _recover_again(ask: _Request, operation: Operation) -> Requested:
    """A person takes an automatic recovery over: what holds automation back holds it no more."""
    requested = _again(ask, operation, "It is recovering already.")
    if not operation.automatic or ask.actor.automatic:
        return requested
    _change_under_way(
        ask,
        operation,
        "taken_over",
        "a person wants the recovery that a rule had asked for",
        automatic=False,
        actor=ask.actor.name,
        user_id=ask.actor.user_id,
    )
    return replace(requested, note="It goes on at once, as a person's wish.")


def _destroy_again(ask: _Request, operation: Operation) -> Requested:
    if ask.params.get("discard") and not operation.params.get("discard"):
        params = {**operation.params, "discard": True}
        _change_under_way(ask, operation, "discard", "the data may be discarded", params=params)
        return Requested(operation, created=False, note="It goes on without a last backup.")
    if ask.town.desired_state != DesiredState.DESTROYED:
        return ask.follow(DesiredState.DESTROYED, "It is destroyed after all.")
    raise NotAllowed(f"{ask.town} is being destroyed already.")


def _call_off_destroy(ask: _Request, touch: dict[str, Any]) -> Requested:
    assert ask.operation is not None
    if ask.town.destroyed_at is None:
        requested = ask.follow(
            DesiredState.RUNNING, "Its destroy is called off.", stop_reason="", **touch
        )
        _hurry(ask.operation, ask.now)
        return requested
    if ask.kind == OperationKind.RESTORE:
        _refuse_a_taken_name(ask.town)
        return ask.follow(DesiredState.RUNNING, "It is restored once its destroy has ended.")
    raise NotAllowed(f"{ask.town} is being destroyed. Ask for its restore instead.")


def _refuse_a_taken_name(town: Town) -> None:
    if has_living_namesake(town):
        raise NotAllowed(
            f"{town} can't be restored while another town of its owner has that name. "
            "Destroy that one first."
        )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
