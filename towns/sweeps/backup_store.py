"""Storing what a sweep has seen of backups: rows, towns and alerts, in a fixed number of
statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from towns import alerts
from towns.alerts.opening import new_alert
from towns.backup_policy import BackupJudgement, made
from towns.models import Alert, Backup, Operation, Town
from towns.readable import duration, size
from towns.rules import stale_after
from towns.services.r2 import Survey, Verification

STALE, BROKEN, HELD = "backup_stale", "backup_broken", "backup_held"
CAUSES = (STALE, BROKEN, HELD)
_UPSERT = ("created_at", "bytes", "files", "verified_at", "held", "gone_at")


@dataclass(frozen=True, slots=True)
class Finding:
    """One town, what R2 showed of its backups, and what that means."""

    town: Town
    survey: Survey
    judgement: BackupJudgement

    @property
    def result(self) -> str:
        """One word for counts: broken, stale, held or ok."""
        judged = self.judgement
        if judged.broken:
            return "broken"
        return "stale" if judged.stale else "held" if judged.held else "ok"

    @property
    def why(self) -> str:
        """For people; empty where all is well."""
        return " ".join(filter(None, (_broken(self), _stale(self), _held(self))))

    def as_json(self) -> dict[str, Any]:
        """For the command."""
        good, age = self.judgement.good, self.judgement.age
        return {
            "town": str(self.town),
            "id": str(self.town.pk),
            "result": self.result,
            "why": self.why,
            "snapshot": good.timestamp if good else None,
            "age_seconds": round(age.total_seconds()) if age is not None else None,
            "held": self.judgement.held.timestamp if self.judgement.held else None,
        }


@transaction.atomic
def store(findings: Sequence[Finding], now: datetime) -> list[Finding]:
    """Store them; returns those that still hold, for towns that nothing has begun to change."""
    ids = [one.town.pk for one in findings]
    locked = {
        town.pk: town
        for town in Town.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk")
    }
    taken = set(Operation.owning().filter(town__in=ids).values_list("town_id", flat=True))
    kept = [
        one
        for one in findings
        if one.town.pk not in taken and locked[one.town.pk].status == one.town.status
    ]
    _save_towns([(locked[one.town.pk], one) for one in kept], now)
    dropped = _save_backups(kept, now)
    _update_alerts(kept, dropped, now)
    return kept


def _save_towns(pairs: Sequence[tuple[Town, Finding]], now: datetime) -> None:
    """Only what R2 shows counts; what was heard since it was asked is newer and stays."""
    for town, one in pairs:
        town.backups_checked_at = now
        good = one.judgement.good
        if good is None or town.last_snapshot > good.timestamp:
            continue
        town.last_snapshot, town.last_backup_at = good.timestamp, made(good)
    Town.objects.bulk_update(
        [town for town, _ in pairs], ["backups_checked_at", "last_snapshot", "last_backup_at"]
    )


def _save_backups(findings: Sequence[Finding], now: datetime) -> dict[UUID, str]:
    """Refresh the rows of what is there, and mark what has gone; returns the newest snapshot of
    each town that staff have dropped.

    One that was marked and is there has come after R2 was asked, and is there again.
    """
    rows = []
    for one in findings:
        if one.judgement.good is not None:
            rows.append(_row(one.town, one.judgement.good, now, held=False))
        if one.judgement.held is not None:
            rows.append(_row(one.town, one.judgement.held, now, held=True))
    # The generation is in the pointer alone: a row that knows it keeps it.
    Backup.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["town", "kind", "snapshot"],
        update_fields=list(_UPSERT),
    )
    there = {one.town.pk: set(one.survey.complete) for one in findings}
    names = {name for complete in there.values() for name in complete}
    wanted = Q(gone_at=None) | Q(snapshot__in=names) | Q(dropped_at__isnull=False)
    known = Backup.objects.filter(wanted, town__in=list(there), kind=Backup.Kind.LIVE)
    gone: list[int] = []
    again: list[int] = []
    dropped: dict[UUID, str] = {}
    for pk, town_id, snapshot, gone_at, dropped_at in known.order_by("snapshot").values_list(
        "pk", "town_id", "snapshot", "gone_at", "dropped_at"
    ):
        if dropped_at is not None:
            dropped[town_id] = snapshot
        if snapshot not in there[town_id]:
            if gone_at is None:
                gone.append(pk)
        elif gone_at is not None:
            again.append(pk)
    Backup.objects.filter(pk__in=gone).update(gone_at=now)
    Backup.objects.filter(pk__in=again).update(gone_at=None)
    return dropped


def _row(town: Town, seen: Verification, now: datetime, *, held: bool) -> Backup:
    return Backup(
        town=town,
        kind=Backup.Kind.LIVE,
        snapshot=seen.timestamp,
        created_at=made(seen),
        generation=seen.generation,
        bytes=seen.bytes,
        files=seen.files,
        verified_at=now if seen.ok else None,
        held=held,
    )


def _update_alerts(findings: Sequence[Finding], dropped: Mapping[UUID, str], now: datetime) -> None:
    """Open what is new, close what positive evidence says is over."""
    standing = {
        (alert.subject, alert.cause): alert
        for alert in Alert.objects.filter(
            town__in=[one.town.pk for one in findings], cause__in=CAUSES, resolved_at=None
        )
    }
    fresh: list[Alert] = []
    over: list[int] = []
    for one in findings:
        for cause, (severity, message) in _wrong(one, dropped.get(one.town.pk, "")).items():
            known = standing.pop((str(one.town.pk), cause), None)
            if known is None:
                fresh.append(
                    new_alert(one.town.pk, cause, severity=severity, message=message, now=now)
                )
            elif known.severity != severity:  # seldom: its last fallback has gone, or come
                if severity == Alert.Severity.CRITICAL:  # and its owner hears of it
                    alerts.open_alert(
                        cause=cause, town=one.town, severity=severity, message=message, now=now
                    )
                else:
                    Alert.objects.filter(pk=known.pk).update(severity=severity, message=message)
        over += [
            alert.pk
            for cause in CAUSES
            if (alert := standing.get((str(one.town.pk), cause))) and _is_over(one, alert)
        ]
    alerts.open_many(fresh)
    alerts.resolve_many(over, resolution="R2 shows that it is over", now=now)


def _wrong(one: Finding, dropped: str) -> dict[str, tuple[str, str]]:
    """The causes that the finding proves: severity and message of each.

    Once staff have dropped a held snapshot, those that follow it are the same news until a good
    one has come; that backups stand still is told by the alert of their age.
    """
    judged, found = one.judgement, {}
    if judged.broken:
        found[BROKEN] = ("warning" if judged.fallback else "critical", _broken(one))
    if judged.stale:
        found[STALE] = ("warning", _stale(one))
    latest = one.survey.latest
    if judged.held is not None and dropped <= (latest.timestamp if latest else ""):
        found[HELD] = ("warning", _held(one))
    return found


def _is_over(one: Finding, alert: Alert) -> bool:
    """Only evidence closes: a good snapshot, and a fresh one where that was of its age. That a
    town has slept meanwhile is none."""
    good, age = one.judgement.good, one.judgement.age
    if alert.cause == HELD:
        return True  # accepted, dropped, or a good one came after it
    if alert.cause == BROKEN:
        return good is not None
    fresh = age is not None and age <= stale_after()
    return good is not None and (fresh or made(good) > alert.opened_at)


def _broken(one: Finding) -> str:
    judged = one.judgement
    if not judged.broken:
        return ""
    works = (
        f"Snapshot {judged.fallback}, verified before, is still there."
        if judged.fallback
        else "No older verified snapshot is there: a lost volume would be lost for good."
    )
    return f"{one.town}: {judged.broken} {works} Have it backed up anew while it runs."


def _stale(one: Finding) -> str:
    if not one.judgement.stale:
        return ""
    age = one.judgement.age
    told = f"is {duration(age.total_seconds())} old" if age is not None else "was never made"
    return (
        f"{one.town} runs, but its last good snapshot {told}. It is asked for a backup; look at "
        "`backup.last_error` of its sandbox if none comes."
    )


def _held(one: Finding) -> str:
    held = one.judgement.held
    if held is None:
        return ""
    return (
        f"{one.town}: snapshot {held.timestamp} ({size(held.bytes)}) is much smaller than the one "
        "before, and is held back; its backups stand still until staff decide. Accept it if the "
        f"town was cleared up (`manage.py town backup {one.town} --accept {held.timestamp}`), or "
        f"drop it and look for what was lost (`--drop {held.timestamp}`)."
    )
