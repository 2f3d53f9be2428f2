"""The copy of its last snapshot that outlives a destroyed town."""

from towns.flows.outcome import Done, Outcome, Retry
from towns.flows.run import Run
from towns.flows.snapshots import keep_backup
from towns.models import Backup
from towns.services.r2 import Verification, live_prefix, retained_prefix


def keep_final_snapshot(run: Run) -> Outcome:
    """Copy the newest verified snapshot to the retained prefix, where it stays its 30 days."""
    town_id = str(run.town.pk)
    r2 = run.services.r2
    final = r2.newest_verified(live_prefix(town_id), without=rotten(run))
    wanted = run.learned.get("snapshot", "")
    if final is None or final.timestamp < wanted:
        kept = r2.newest_verified(retained_prefix(town_id))
        if kept is not None and kept.timestamp >= wanted:
            return _kept(run, kept)
        if not wanted:
            return Done("there is no backup to keep")
        if discarded(run):
            return Done("its backup is gone; the data may be discarded")
        return Retry(f"Snapshot {wanted} is not in R2 any more; nothing is destroyed without it.")
    copied = r2.copy_snapshot(live_prefix(town_id), retained_prefix(town_id), final.timestamp)
    if not copied.ok and discarded(run):
        return Done(f"not kept, the data may be discarded: {copied.problem}")
    if not copied.ok:
        return _copy_again_or_another(run, final, copied)
    return _kept(run, copied)


def _copy_again_or_another(run: Run, final: Verification, copied: Verification) -> Outcome:
    """A snapshot that rots in R2 is never kept: as long as there is its volume the town makes
    another one, else an older one has to do."""
    source = run.services.r2.verify(live_prefix(str(run.town.pk)), final.timestamp, checksums=True)
    if source.ok:
        return Retry(f"The copy of snapshot {final.timestamp} is not complete: {copied.problem}")
    run.remember(rotten=[*rotten(run), final.timestamp], snapshot="", sync_failed="", no_sync=False)
    return Retry(
        f"Snapshot {final.timestamp} is corrupt: {source.problem}. Another one is kept instead.",
        1,
        "choose_backup",
    )


def _kept(run: Run, snapshot: Verification) -> Outcome:
    keep_backup(run, snapshot, Backup.Kind.RETAINED)
    run.remember(retained=snapshot.timestamp)
    run.report(retained_snapshot=snapshot.timestamp)
    return Done(snapshot.timestamp)


def discarded(run: Run) -> bool:
    """Whether staff chose to discard the data; they may do so while it is under way."""
    run.operation.refresh_from_db(fields=["params"])
    return bool(run.operation.params.get("discard"))


def rotten(run: Run) -> list[str]:
    """Snapshots that looked whole, but whose files have other checksums than their manifest."""
    found: list[str] = run.learned.get("rotten", [])
    return found
