"""What a drill has proved: judged by what its sandbox says, and written down with its event."""

from django.conf import settings
from django.db import transaction

from towns import alerts, drills, history
from towns.automation import FLEET
from towns.drills import Verdict
from towns.flows.machines import age
from towns.flows.outcome import Done, Fail, Outcome, Wait
from towns.flows.run import Run
from towns.models import Drill
from towns.probe import HealthReport
from towns.services.errors import NotFound
from towns.services.r2 import live_prefix

RESTORE_PATIENCE_SECONDS = 90
"""How long a sandbox may say `failed` without having found anything corrupt: it tries again."""
DOLT_PATIENCE_SECONDS = 180
"""How long Dolt may take to open what was restored."""
OVER = frozenset({"stopped", "suspended", "failed", "destroying", "destroyed"})
POINTER = "latest.json"
Result = Drill.Result


def judge(run: Run, drill: Drill, report: HealthReport | None) -> Outcome:
    """What the sandbox's answer proves, if anything: a verdict, or a wait."""
    if report is None:
        return _fallen(run, drill) or Wait(2, "Its sandbox does not answer yet.")
    if report.machine_id != drill.machine_id or report.town_id != str(run.town.pk):
        return Wait(5, "Somebody else answers at its address, which proves nothing.")
    if report.drill_corrupt is None or report.daemon_running:
        return _unsafe(run, drill)
    if report.restore_state == "failed":
        return _failed(run, drill, report)
    if report.restore_state != "done" or not report.restore_snapshot:
        return Wait(2, "The sandbox restores the snapshot.")
    return _restored(run, drill, report, report.restore_snapshot)


def _restored(run: Run, drill: Drill, report: HealthReport, got: str) -> Outcome:
    """Something was restored: exactly the newest, or what it fell back to."""
    if report.drill_corrupt or got < drill.snapshot:
        return _corrupt(run, drill, report, fell_back_to=got)
    if not report.dolt_running:
        since = run.learned.get("restored_at")
        if since is None:
            run.remember(restored_at=run.now.isoformat())
        elif age(run, since) > DOLT_PATIENCE_SECONDS:
            reason = f"Snapshot {got} restored, but Dolt does not open its data."
            return conclude(run, drill, Verdict(Result.FAILED, reason, snapshot=got))
        return Wait(2, "Dolt has not opened the data yet.")
    size = drill.bytes
    if got != drill.snapshot:  # the town has made a newer one since, and that was taken
        manifest = run.services.r2.read_manifest(live_prefix(str(run.town.pk)), got)
        size = manifest.bytes if manifest else None
    reason = f"Snapshot {got} restored, every file as its manifest says, and Dolt opened it."
    return conclude(run, drill, Verdict(Result.OK, reason, snapshot=got, bytes=size))


def _failed(run: Run, drill: Drill, report: HealthReport) -> Outcome:
    """Corrupt only if it has read something that was; what it could not read proves nothing."""
    if report.drill_corrupt:
        return _corrupt(run, drill, report, fell_back_to="")
    why = f"The sandbox could not restore it: {report.restore_error or 'no reason given'}"
    since = run.learned.get("restore_failed_at")
    if since is None:
        run.remember(restore_failed_at=run.now.isoformat())
    elif age(run, since) > RESTORE_PATIENCE_SECONDS:
        return inconclusive(run, drill, why)
    return Wait(5, why)


def _corrupt(run: Run, drill: Drill, report: HealthReport, *, fell_back_to: str) -> Outcome:
    """Alert, unless what it could not read was only rotated away while it was read."""
    there = {*run.services.r2.list_snapshots(live_prefix(str(run.town.pk))), POINTER}
    named = report.drill_corrupt or (drill.snapshot,)
    bad = tuple(name for name in named if name in there)
    if not bad:
        return inconclusive(
            run, drill, "The town backed up so often meanwhile that its snapshot was rotated away."
        )
    names = " and ".join(f"snapshot {name}" if name != POINTER else name for name in bad)
    why = f" The sandbox says: {report.restore_error}." if report.restore_error else ""
    verdict = Verdict(
        Result.CORRUPT,
        f"It can't be restored from {names}.{why}",
        snapshot=drill.snapshot or next(iter(bad)),
        fell_back_to=fell_back_to,
        corrupt=bad,
    )
    return conclude(run, drill, verdict)


def _fallen(run: Run, drill: Drill) -> Outcome | None:
    """Nothing answers: a machine that is gone or fell over won't answer later either."""
    try:
        machine = run.services.fly.of(drill.fly_app).get_machine(drill.machine_id)
    except NotFound:
        return inconclusive(run, drill, "Fly has its throw-away machine no more (404).")
    if machine.state not in OVER:
        return None
    why = machine.event_error or (
        f"exit code {machine.last_exit.exit_code}" if machine.last_exit else "no reason given"
    )
    return inconclusive(run, drill, f"Its throw-away machine went to {machine.state} ({why}).")


def _unsafe(run: Run, drill: Drill) -> Outcome:
    """An image that doesn't know drills would run agents with the town's tokens: end it at once."""
    alerts.open_alert(
        cause=drills.IMAGE_ALERT,
        subject=FLEET,
        severity="critical",
        message=f"The image {settings.GASTOWN_SANDBOX_IMAGE} doesn't know restore drills: one of "
        f"{run.town} was ended at once, since it would have run agents. Build the image anew from "
        "sandbox/Dockerfile, or set GASTOWN_DRILLS_PER_DAY=0 until then.",
        now=run.now,
        data={"drill": str(drill.pk), "image": settings.GASTOWN_SANDBOX_IMAGE},
    )
    return inconclusive(run, drill, "Its image does not know drills; it was ended at once.")


def inconclusive(run: Run, drill: Drill, reason: str) -> Outcome:
    """It has proved nothing, and says why."""
    return conclude(run, drill, Verdict(Result.INCONCLUSIVE, reason))


def conclude(run: Run, drill: Drill, verdict: Verdict) -> Outcome:
    """Write the verdict, if the lease is still ours; a good one with its event."""
    ok = verdict.result == Result.OK
    with transaction.atomic():
        run.report(
            result=verdict.result.value,
            snapshot=verdict.snapshot or drill.snapshot,
            fell_back_to=verdict.fell_back_to,
        )
        if not ok:
            run.remember(failed_event=f"drill_{verdict.result.value}")
        drills.conclude(drill, verdict, town=run.town, now=run.now)
        if ok:
            history.record(
                run.town,
                "drill_ok",
                actor=run.actor,
                now=run.now,
                reason=verdict.reason,
                operation=run.operation,
                data=run.learned["report"],
            )
    return ended(drill)


def ended(drill: Drill) -> Outcome:
    """The outcome of a step once there is a verdict."""
    return Done(drill.reason) if drill.result == Result.OK else Fail(drill.reason)
