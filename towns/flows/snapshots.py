"""Steps that ask a town for a backup and believe only what R2 shows."""

from datetime import datetime

from django.conf import settings

from towns import addresses, alerts
from towns.flows.outcome import Done, Outcome, Retry, Wait
from towns.flows.run import Run
from towns.models import Backup
from towns.services.errors import RateLimited, ServiceError
from towns.services.r2 import Verification, live_prefix

SYNC_TRIES = 3


def note_pointer(run: Run) -> Outcome:
    """Remember which snapshot was the latest before the sync."""
    if run.learned.get("sync_failed"):
        return Done("skipped")
    try:
        pointer = run.services.r2.read_pointer(live_prefix(str(run.town.pk)))
    except ServiceError as error:
        return _sync_error(run, error)
    run.remember(
        pointer_before=pointer.timestamp if pointer else "", sync_asked_at=run.now.isoformat()
    )
    return Done(pointer.timestamp if pointer else "no snapshot yet")


def request_sync(run: Run) -> Outcome:
    """Ask the sandbox for a backup now."""
    if run.learned.get("sync_failed"):
        return Done("skipped")
    try:
        run.services.sandbox.request_sync(addresses.sandbox_address(run.town))
    except ServiceError as error:
        return _sync_error(run, error)
    run.remember(sync_asked_at=run.now.isoformat())
    return Done()


def await_snapshot(run: Run) -> Outcome:
    """Wait until R2 shows a newer, complete snapshot."""
    if run.learned.get("sync_failed"):
        return Done("skipped")
    try:
        latest = run.services.r2.verify_latest(live_prefix(str(run.town.pk)))
    except ServiceError as error:
        return _sync_error(run, error)
    if latest and latest.ok and latest.timestamp > run.learned["pointer_before"]:
        run.remember(snapshot=latest.timestamp)
        keep_backup(run, latest)
        return Done(latest.timestamp)
    waited = _waited(run)
    if waited > settings.GASTOWN_SYNC_WAIT_SECONDS:
        problem = latest.problem if latest and not latest.ok else "no newer snapshot came"
        return sync_failed(
            run, f"R2 shows no new complete snapshot after {waited:.0f} s: {problem}"
        )
    return Wait(1, "The sandbox is backing up.")


def _waited(run: Run) -> float:
    """Seconds since the sync was asked for; before that, since the operation began."""
    asked = run.learned.get("sync_asked_at") or run.operation.created_at.isoformat()
    return (run.now - datetime.fromisoformat(asked)).total_seconds()


def _sync_error(run: Run, error: ServiceError) -> Outcome:
    if isinstance(error, RateLimited) and _waited(run) <= settings.GASTOWN_SYNC_WAIT_SECONDS:
        raise error  # nothing has failed: the engine waits as long as it says
    if run.operation.attempt + 1 < SYNC_TRIES:
        return Retry(str(error), 2)
    return sync_failed(run, str(error))


def sync_failed(run: Run, why: str) -> Outcome:
    """What a failed sync means is the flow's to say: `SYNC_FAILED` in its module."""
    from towns.flows import backup, destroy, stop  # they use this module

    handlers = {
        "backup": backup.on_sync_failed,
        "destroy": destroy.on_sync_failed,
        "stop": stop.on_sync_failed,
    }
    return handlers[run.operation.kind](run, why)


def keep_backup(run: Run, snapshot: Verification, kind: Backup.Kind = Backup.Kind.LIVE) -> None:
    """Record a verified snapshot, and on the town if it is the newest that R2 has proved.

    What a sandbox told of a newer one counts for nothing here: it may have named any.
    """
    created_at = snapshot.created_at or run.now
    Backup.objects.update_or_create(
        town=run.town,
        kind=kind,
        snapshot=snapshot.timestamp,
        defaults={
            "operation": run.operation,
            "created_at": created_at,
            "generation": snapshot.generation,
            "bytes": snapshot.bytes,
            "files": snapshot.files,
            "verified_at": run.now,
            "gone_at": None,
        },
    )
    if kind != Backup.Kind.LIVE:
        return
    proved = Backup.objects.filter(
        town=run.town, kind=kind, verified_at__isnull=False, gone_at=None, held=False
    )
    if not proved.filter(snapshot__gt=snapshot.timestamp).exists():
        run.save_town(last_backup_at=created_at, last_snapshot=snapshot.timestamp)
        alerts.resolve_alerts(
            town=run.town,
            causes=["backup_failed", "idle_backup_failed"],
            resolution=f"snapshot {snapshot.timestamp} is complete",
            now=run.now,
        )
