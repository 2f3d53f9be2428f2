"""The step that waits until a started town is healthy, and what its restore said."""

from towns import addresses
from towns.flows.machines import lost
from towns.flows.outcome import Done, Fail, Outcome, Wait
from towns.flows.run import Run
from towns.models import HealthCheck
from towns.policy import judge
from towns.probe import HealthReport
from towns.words import CheckResult


def await_healthy(run: Run) -> Outcome:
    """Wait until a health check passes; a restore that failed inside ends the waiting."""
    if not run.town.machine_id:
        return lost(run, "The town has no machine.")
    probe = run.services.sandbox.probe(addresses.sandbox_address(run.town))
    report = probe.report
    if report is not None and report.restore_state == "failed":
        return Fail(
            f"The sandbox could not restore the town: {report.restore_error or 'no reason'}"
        )
    if report is not None and report.restore_state == "running":
        return Wait(2, "The sandbox restores the town from its backup.")
    judgement = judge(probe, town_id=str(run.town.pk), machine_id=run.town.machine_id)
    if judgement.result != CheckResult.OK or report is None:
        return Wait(1, f"Not healthy yet: {judgement.reason}")
    if report.draining:
        return Wait(1, "The sandbox is still shutting down.")
    _keep_report(run, report, probe.latency_ms)
    return Done("healthy")


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
    check.save()
    run.save_town(
        health=check.figures(),
        last_checked_at=run.now,
        last_ok_at=run.now,
        last_result=CheckResult.OK,
        last_heartbeat_at=report.daemon_heartbeat_at,
    )
    run.remember(
        restore={
            "state": report.restore_state,
            "snapshot": report.restore_snapshot,
            "error": report.restore_error,
        }
    )
