"""What a town's row says, as the values that `policy` takes."""

from collections.abc import Collection
from datetime import datetime, timedelta

from towns.backup_policy import BackupFacts
from towns.models import HealthCheck, Town
from towns.policy import IdleFacts, is_connected
from towns.rules import idle_rules
from towns.words import CheckResult, Status


def backup_facts(town: Town, verified: Collection[str] = ()) -> BackupFacts:
    """What is known of a town's backups, from its row; `verified` are its verified snapshots."""
    return BackupFacts(
        running=town.status == Status.RUNNING,
        awake_since=town.awake_since,
        backup_at=town.last_backup_at,
        recorded=town.last_snapshot,
        verified=verified,
    )


def idle_facts(town: Town) -> IdleFacts:
    """What is known of a town's use, from its row."""
    return IdleFacts(
        auto_stop=town.auto_stop,
        idle_timeout=timedelta(minutes=town.idle_timeout_minutes),
        hold_reason=town.hold_reason,
        hold_until=town.hold_until,
        keep_awake_until=town.keep_awake_until,
        last_interaction_at=town.last_interaction_at,
        awake_since=town.awake_since,
        websocket_seen_at=town.websocket_seen_at,
        websocket_message_at=town.websocket_message_at,
        checked_at=town.last_checked_at,
        result=CheckResult(town.last_result) if town.last_result else None,
        polecats_active=town.figure("polecats_active"),
        merge_queue=town.figure("merge_queue"),
    )


def fill_use(check: HealthCheck, town: Town, now: datetime) -> None:
    """Note on an unsaved check how the town was used by then: what a replay decides by."""
    check.last_interaction_at = town.last_interaction_at
    check.connected = is_connected(idle_facts(town), now, idle_rules())
