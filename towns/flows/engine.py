"""The engine: runs the steps of one claimed operation and saves what came of each."""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from towns import alerts
from towns.flows import finish
from towns.flows.begin import deadline_of
from towns.flows.looks import patience
from towns.flows.outcome import Done, Fail, Flow, HandOver, Outcome, Retry, Step, Wait
from towns.flows.registry import flow_of
from towns.flows.run import LeaseLost, Run
from towns.logs import about
from towns.metrics.store import tally
from towns.models import Operation, Town
from towns.rows import read_row
from towns.services import Services
from towns.services.errors import RateLimited, ServiceError
from towns.words import BESIDE, DesiredState, OperationKind

log = logging.getLogger(__name__)
LAST_LOOK_PATIENCE = timedelta(minutes=1)
"""How long a look at the deadline may be put off because we ask too often."""
UNDO_ALERT_AFTER = 10
"""Failed attempts to clean up after a failure, which has no deadline, before staff are alerted."""
STEPS_AT_A_TIME = 20
"""Steps that one claim may run before others get their turn."""


def run_claimed(operation: Operation, services: Services, *, least_wait: float = 0.0) -> None:
    """Run steps of an operation whose lease is ours, until it waits, ends, or was taken over. It
    waits for `least_wait` seconds or longer, so that not too many are looked at (`looks`).

    Between two steps nothing is held in memory that the row doesn't say.
    """
    with about(town=operation.town_id, operation=operation.pk):
        _run(operation, services, least_wait)


def _run(operation: Operation, services: Services, least_wait: float) -> None:
    operation.town = read_row(Town, operation.town_id)
    run = Run(operation, operation.town, services, least_wait)
    try:
        for _ in range(STEPS_AT_A_TIME):
            if not _advance(run):
                if not operation.is_open:
                    tally.add("gastown_operations", kind=operation.kind, outcome=operation.state)
                return
            run.reload_town()
        _release(run, due_at=run.now)
    except LeaseLost:
        log.warning("operation %s was taken over by another worker", operation.pk)


def _advance(run: Run) -> bool:
    """Run one step; returns whether the next one may follow at once.

    1. See whether a destroy supersedes this operation, or its deadline is over.
    2. Run the step; service errors become outcomes.
    3. Save the outcome, if the lease is still ours.
    """
    operation, flow = run.operation, flow_of(run.operation.kind)
    if run.town.desired_state == DesiredState.DESTROYED and operation.kind not in (
        OperationKind.DESTROY,
        OperationKind.RESTORE,
    ):
        return finish.supersede(run) is None
    deadline = _deadline(run, flow)
    if deadline is not None and run.now >= deadline:
        return _at_deadline(run, flow)
    outcome = _guarded(run, flow.step(operation.step))
    return _settle(run, flow, outcome)


def _deadline(run: Run, flow: Flow) -> datetime | None:
    """When its time is over; None while that doesn't count: it cleans up, or waits for people."""
    held = flow.held_at is not None and run.operation.step == flow.held_at.__name__
    return None if held or run.operation.undoing else run.operation.deadline_at


def _guarded(run: Run, step: Step) -> Outcome:
    """Run a step; whatever it raises becomes an outcome, except that the lease was lost."""
    try:
        return step(run)
    except LeaseLost:
        raise
    except RateLimited as error:
        return Wait(error.retry_after, str(error))
    except ServiceError as error:
        return Retry(str(error))
    except Exception as error:
        log.exception("step %s of operation %s", step.__name__, run.operation.pk)
        return Retry(f"An unexpected {type(error).__name__} in our own code; the log has more.")


def _settle(run: Run, flow: Flow, outcome: Outcome) -> bool:
    operation = run.operation
    match outcome:
        case Done(note):
            return _next_step(run, flow, note)
        case Wait(seconds, why):
            _release(run, due_at=_due(run, flow, max(seconds, _patience(run))), message=why)
        case Retry(error, seconds, back_to):
            attempt = operation.attempt + 1
            pause = flow.wait_after(attempt) if seconds is None else seconds
            with transaction.atomic():  # or a worker killed in between would lose the alert
                _release(
                    run,
                    due_at=_due(run, flow, pause),
                    message=error,
                    attempt=attempt,
                    step=back_to or operation.step,
                )
                _alert_staff(run, flow, attempt, error)
        case Fail(reason, called_off):
            return _fail(run, flow, reason, called_off=called_off)
        case HandOver(kind, reason):
            finish.hand_over(run, kind, reason)
    return False


def _patience(run: Run) -> float:
    """Seconds until the next look at what a step waits for."""
    return patience((run.now - _began(run)).total_seconds(), least=run.least_wait)


def _began(run: Run) -> datetime:
    """When the step before this one was done."""
    log = run.operation.log
    return datetime.fromisoformat(log[-1]["at"]) if log else run.operation.created_at


def _due(run: Run, flow: Flow, seconds: float) -> datetime:
    """When to look again: no pause reaches beyond the deadline."""
    due, deadline = run.now + timedelta(seconds=seconds), _deadline(run, flow)
    return due if deadline is None else min(due, max(deadline, run.now))


def _next_step(run: Run, flow: Flow, note: str) -> bool:
    operation = run.operation
    entry = {"step": operation.step, "at": run.now.isoformat(), "note": note}
    following = flow.after(operation.step)
    took = (run.now - _began(run)).total_seconds()
    tally.observe("gastown_step_seconds", took, kind=operation.kind, step=operation.step)
    fields: dict[str, Any] = {"log": [*operation.log, entry], "attempt": 0, "message": ""}
    if flow.held_at is not None and operation.step == flow.held_at.__name__:
        fields["deadline_at"] = deadline_of(flow, run.now)
    if following is not None:
        run.save_operation(**fields, step=following, due_at=run.now)
        return True
    run.save_operation(**fields)
    if operation.undoing:
        finish.fail(run, operation.undoing, called_off=bool(operation.learned.get("called_off")))
    else:
        finish.succeed(run)
    return False


def _fail(run: Run, flow: Flow, reason: str, *, called_off: bool = False) -> bool:
    """End as failed, after the flow's clean-up steps if it has any."""
    if flow.undo and not run.operation.undoing:
        run.remember(called_off=called_off)
        run.save_operation(
            undoing=reason, step=flow.undo[0].__name__, attempt=0, due_at=run.now, message=reason
        )
        return True
    finish.fail(run, run.operation.undoing or reason, called_off=called_off)
    return False


def _at_deadline(run: Run, flow: Flow) -> bool:
    """No passing status is for ever: adopt the truth, or fail with the reason."""
    operation = run.operation
    try:
        arrived = flow.arrived is not None and _has_arrived(run, flow)
    except RateLimited as error:
        pause = min(timedelta(seconds=error.retry_after), LAST_LOOK_PATIENCE)
        _release(run, due_at=run.now + pause)
        return False
    if arrived:
        run.report(late=True)
        finish.succeed(run)
        return False
    assert flow.deadline is not None
    why = f" {operation.message}" if operation.message else ""
    minutes = getattr(settings, flow.deadline)
    return _fail(run, flow, f"Not done after {minutes} min; it was at “{operation.step}”.{why}")


def _has_arrived(run: Run, flow: Flow) -> bool:
    """Raises RateLimited for a while: the last look waits for its turn, but not for ever."""
    assert flow.arrived is not None
    assert run.operation.deadline_at is not None
    try:
        return flow.arrived(run)
    except ServiceError as error:
        late = run.now - run.operation.deadline_at
        if isinstance(error, RateLimited) and late < LAST_LOOK_PATIENCE:
            raise
        log.info("operation %s at its deadline: %s", run.operation.pk, error)
        return False


def _release(run: Run, **fields: Any) -> None:
    """Give the lease back; the row says when it is due again."""
    run.save_operation(lease_until=None, lease_owner="", **fields)


def _alert_staff(run: Run, flow: Flow, attempt: int, error: str) -> None:
    """What has no deadline is told in the end: it goes on, but not unseen."""
    operation, undoing = run.operation, run.operation.undoing
    cleans_up = bool(undoing) and operation.kind not in BESIDE  # those bound it by themselves
    if attempt != (flow.alert_after or (UNDO_ALERT_AFTER if cleans_up else None)):
        return
    what = f"the clean-up of its failed {operation.kind}" if undoing else operation.kind
    alerts.open_alert(
        cause=f"{operation.kind}_failed",
        town=run.town,
        severity="critical",
        message=f"{run.town}: {what} still fails after {attempt} tries at “{operation.step}”. "
        f"{error} {undoing}".strip(),
        now=run.now,
        data={"operation": str(operation.pk)},
    )
