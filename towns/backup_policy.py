"""What was seen of a town's backups, and what it means. Pure: no I/O, no clock, no ORM."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from towns.services.r2_types import Survey, Verification


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """What our rows say of a town. `recorded` is the newest snapshot that we ever heard of."""

    running: bool
    awake_since: datetime | None
    backup_at: datetime | None
    recorded: str
    verified: Collection[str] = ()
    """Snapshots that we have verified, and that were not seen gone."""


@dataclass(frozen=True, slots=True)
class BackupJudgement:
    """What a survey of R2 proves. Texts are empty where all is well."""

    good: Verification | None
    """The newest snapshot, if it is whole and the one that it should be."""
    broken: str = ""
    fallback: str = ""
    """The newest older snapshot that was verified and is there: what a recovery would get."""
    stale: bool = False
    age: timedelta | None = None
    held: Verification | None = None


def judge_backups(
    facts: BackupFacts, survey: Survey, now: datetime, stale_after: timedelta
) -> BackupJudgement:
    """Judge one town by what R2 shows; nothing is taken on the sandbox's word."""
    latest = survey.latest
    broken = _problem(latest, facts.recorded)
    good = latest if latest is not None and not broken else None
    newest = latest.timestamp if latest is not None else ""
    older = [name for name in survey.complete if name in facts.verified and name != newest]
    made_at = made(good) if good is not None else facts.backup_at
    return BackupJudgement(
        good=good,
        broken=broken,
        fallback=max(older, default="") if broken else "",
        stale=is_stale(facts, made_at, now, stale_after),
        age=None if made_at is None else now - made_at,
        held=survey.held,
    )


def _problem(latest: Verification | None, recorded: str) -> str:
    if latest is None:
        return "R2 holds no latest.json of it any more." if recorded else ""
    if not latest.timestamp:
        return f"latest.json can't be understood: {latest.problem}"
    if not latest.ok:
        return f"Snapshot {latest.timestamp}, its newest, is not whole: {latest.problem}."
    if latest.timestamp < recorded:
        return (
            f"latest.json names snapshot {latest.timestamp}, but {recorded} was there before: "
            "somebody has moved it back, or it was lost."
        )
    return ""


def is_stale(
    facts: BackupFacts, made_at: datetime | None, now: datetime, stale_after: timedelta
) -> bool:
    """Whether a running town has gone without a good snapshot for too long.

    Counted from when it woke, if that is later: a town that slept could not back up.
    """
    if not facts.running:
        return False
    since = max(filter(None, (made_at, facts.awake_since)), default=None)
    return since is not None and now - since > stale_after


def made(snapshot: Verification) -> datetime:
    """When a snapshot was made; its name says it where its manifest doesn't."""
    if snapshot.created_at is not None:
        return snapshot.created_at
    return datetime.strptime(snapshot.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
