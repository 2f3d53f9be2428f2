"""The step that waits until a started town is healthy, and what its restore said."""

from towns import addresses
from towns.facts import fill_use
from towns.flows.machines import RESTING, age, await_started, find_machine, lost
from towns.flows.outcome import Done, Fail, Outcome, Wait
from towns.flows.run import Run
from towns.models import HealthCheck
from towns.policy import judge
from towns.probe import HealthReport
from towns.words import CheckResult

RESTORE_PATIENCE_SECONDS = 90
"""How long a sandbox may say `failed` while R2 answers us: it tries again every 30 s."""


def await_healthy(run: Run) -> Outcome:
    """Wait until a health check passes; a restore that failed for good ends the waiting."""
    if not run.town.machine_id:
        return lost(run, "The town has no machine.")
    probe = run.services.sandbox.probe(addresses.sandbox_address(run.town))
    report = probe.report
    if report is not None and report.restore_state == "failed":
        return _failed_restore(run, report)
    if report is not None and report.restore_state == "done":
        _keep_restore(run, report)
    if report is not None and report.restore_state == "running":
        return Wait(2, "The sandbox restores the town from its backup.")
    if report is None and (fallen := _fallen(run)) is not None:
        return fallen
    judgement = judge(probe, town_id=str(run.town.pk), machine_id=run.town.machine_id)
    if judgement.result != CheckResult.OK or report is None:
        return Wait(1, f"Not healthy yet: {judgement.reason}")
    if report.draining:
        return Wait(1, "The sandbox is still shutting down.")
    _keep_report(run, report, probe.latency_ms)
    return Done("healthy")


def _fallen(run: Run) -> Outcome | None:
    """Nothing answers: a machine that is gone or fell over meanwhile won't answer later either."""
    machine = find_machine(run)
    return await_started(run) if machine is None or machine.state in RESTING else None


def _failed_restore(run: Run, report: HealthReport) -> Outcome:
    """Fail only if it lasts while R2 answers us: the sandbox tries again what it could not reach.

    While R2 is away the deadline decides.
    """
    why = f"The sandbox could not restore the town: {report.restore_error or 'no reason'}"
    if not run.services.r2.ping():
        run.remember(restore_failed_at=None)
        return Wait(5, f"{why} R2 does not answer us either; it is tried again.")
    since = run.learned.get("restore_failed_at")
    if since is None:
        run.remember(restore_failed_at=run.now.isoformat())
    elif age(run, since) > RESTORE_PATIENCE_SECONDS:
        return Fail(why)
    return Wait(5, why)


def _keep_restore(run: Run, report: HealthReport) -> None:
    """Remember a restore as soon as it is seen: after a later boot the sandbox tells of none."""
    restore = {
        "state": report.restore_state,
        "snapshot": report.restore_snapshot,
        "error": report.restore_error,
    }
    known = run.learned.get("restore")
    if restore != known and (known is None or restore["state"] != "none"):
        run.remember(restore=restore)


def _keep_report(run: Run, report: HealthReport, latency_ms: int) -> None:
    check = HealthCheck(
        town=run.town,
        checked_at=run.now,
        result=CheckResult.OK,
        latency_ms=latency_ms,
        heartbeat_at=report.daemon_heartbeat_at,
        daemon_running=report.daemon_running,
        dolt_running=report.dolt_running,
        tmux_sessions=report.tmux_sessions,
        polecats_active=report.polecats_active,
        polecats_total=report.polecats_total,
        merge_queue=report.merge_queue,
        disk_used=report.disk_used,
        disk_total=report.disk_total,
        memory_used=report.memory_used,
        memory_total=report.memory_total,
        cpu_ratio=report.cpu_ratio,
    )
    fill_use(check, run.town, run.now)
    check.save()
    run.save_town(
        health=check.figures(),
        last_checked_at=run.now,
        last_ok_at=run.now,
        last_result=CheckResult.OK,
        last_heartbeat_at=report.daemon_heartbeat_at,
    )
    _keep_restore(run, report)
