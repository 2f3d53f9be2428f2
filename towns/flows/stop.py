"""Stop (product.md 1.2): back up, look again if it is for idleness, SIGTERM, wait for stopped.

A person's stop and an idle stop are this one code path. They differ in two places: what a failed
backup means, and the second look.
"""

from dataclasses import replace

from django.conf import settings

from towns import addresses, alerts
from towns.facts import idle_facts
from towns.flows import machines
from towns.flows.machines import await_stopped, has_arrived_stopped
from towns.flows.outcome import Done, Fail, Flow, Outcome
from towns.flows.run import Run
from towns.flows.snapshots import await_snapshot, keep_backup, note_pointer, request_sync
from towns.policy import awake_because
from towns.rules import idle_rules
from towns.services.errors import RateLimited, ServiceError
from towns.services.r2 import live_prefix
from towns.standing import read_standing
from towns.words import CheckResult, DesiredState, OperationKind, StopReason


def stop_machine(run: Run) -> Outcome:
    """Tell Fly to stop the machine, unless a last look shows that it has work or is wanted."""
    return machines.stop_machine(run, last_look=look_again)


def look_again(run: Run) -> Outcome:
    """Call the stop off if somebody wants the town after all, or, when idle, if it has work or
    automation is held back by now.

    The decision takes the freshest facts: a probe made now, and then the row as it is. Nothing
    else comes between this look and the call that stops it.
    """
    run.reload_town()
    idle = is_idle_stop(run)
    report = None
    if idle:
        report = run.services.sandbox.probe(addresses.sandbox_address(run.town)).report
        run.reload_town()
    if run.town.desired_state == DesiredState.RUNNING:
        return Fail("Somebody wants it to run: the stop was called off.", called_off=True)
    if not is_idle_stop(run):
        return Done("a person wants it")
    facts = replace(
        idle_facts(run.town),
        checked_at=run.now if report else None,
        result=CheckResult.OK if report else CheckResult.UNKNOWN,
        polecats_active=report.polecats_active if report else None,
        merge_queue=report.merge_queue if report else None,
    )
    held = awake_because(facts, run.now, idle_rules())
    if held:
        reasons = ", ".join(hold.value for hold in held)
        run.report(second_look=[hold.value for hold in held])
        return Fail(f"The idle stop was called off at the second look: {reasons}.", called_off=True)
    if back := read_standing(run.now).held_back(run.town, run.now):
        return Fail(f"The idle stop was called off at the second look: {back[0].why}", True)
    return Done("still idle")


def note_last_backup(run: Run) -> Outcome:
    """Record the snapshot that the sandbox made after `gt down`."""
    try:
        latest = run.services.r2.verify_latest(live_prefix(str(run.town.pk)))
    except RateLimited:
        raise
    except ServiceError as error:
        return Done(f"R2 could not be asked: {error}")
    if latest is None or not latest.ok:
        return Done("no complete snapshot in R2; the data is on the volume")
    keep_backup(run, latest)
    run.report(snapshot=latest.timestamp)
    return Done(latest.timestamp)


def is_idle_stop(run: Run) -> bool:
    """Whether nobody asked for it. A person's request takes an idle stop over."""
    return run.town.stop_reason == StopReason.IDLE


def on_sync_failed(run: Run, why: str) -> Outcome:
    """An idle stop is called off; a person's goes on, since the volume stays."""
    run.reload_town()
    if not is_idle_stop(run):
        run.remember(sync_failed=why)
        run.report(backup_failed=why)
        run.record("backup_failed", f"Stopped without a fresh backup; the volume stays. {why}")
        _alert(run, "backup_failed", f"{run.town} is stopped without a fresh backup. {why}")
        return Done(f"went on without a fresh backup: {why}")
    failures = run.town.idle_sync_failures + 1
    run.save_town(idle_sync_failures=failures)
    if failures >= settings.GASTOWN_IDLE_SYNC_FAILURES_ALERT:
        _alert(
            run,
            "idle_backup_failed",
            f"{run.town} is idle but can't be stopped: its backup failed {failures} times. {why}",
        )
    return Fail(f"The idle stop was called off, its backup failed. {why}", called_off=True)


def _alert(run: Run, cause: str, message: str) -> None:
    alerts.open_alert(
        cause=cause, town=run.town, severity="warning", message=message, now=run.now, data={}
    )


FLOW = Flow(
    kind=OperationKind.STOP,
    steps=(
        note_pointer,
        request_sync,
        await_snapshot,
        stop_machine,
        await_stopped,
        note_last_backup,
    ),
    deadline="GASTOWN_DEADLINE_STOPPING_MINUTES",
    arrived=has_arrived_stopped,
)
