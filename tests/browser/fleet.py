"""A fleet with something of everything, for pictures and for axe."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from tests.factories import make_drill, make_operation, make_town
from towns.history import Actor, record
from towns.models import (
    Alert,
    Backup,
    BulkRun,
    Freeze,
    HealthCheck,
    Orphan,
    Sweep,
    Town,
)
from towns.replay import runs
from towns.webhooks.endpoints import create_webhook
from towns.words import OperationKind, OperationState

NAMES = (
    *("harbour", "mill", "quarry", "foundry", "tannery", "brewery", "granary", "smithy"),
    *("chapel", "orchard", "lighthouse", "ferry", "depot", "kiln"),
)
STATUSES = (*["running"] * 8, "stopped", "stopped", "unhealthy", "error", "starting", "recovering")


def make_fleet(password: str) -> Mapping[str, tuple[str, str]]:
    """Make it; returns who looks at which path, by the name of the page."""
    chance, now = random.Random(4), timezone.now()
    ann = User.objects.create_superuser("ann", "ann@example.com", password)
    alice = User.objects.create_user("alice", "alice@example.com", password)
    owners = [alice, *(User.objects.create_user(f"owner-{n}") for n in range(6))]
    towns: list[Town] = []
    for number, (name, status) in enumerate(zip(NAMES, STATUSES, strict=True)):
        failing = status in ("unhealthy", "error")
        towns.append(
            make_town(
                owner=owners[number % len(owners)],
                name=name,
                status=status,
                region=("iad", "ams", "fra")[number % 3],
                created_at=now - timedelta(days=9),
                status_since=now - timedelta(minutes=20 * number + 3),
                status_reason="No capacity on its host." if status == "error" else "",
                stop_reason="idle" if status == "stopped" else "",
                desired_state="stopped" if status == "stopped" else "running",
                last_checked_at=now,
                last_result="failed" if failing else "ok",
                consecutive_failures=3 if status == "unhealthy" else 0,
                failure_reason="time-out after 5 s" if status == "unhealthy" else "",
                episode_since=now - timedelta(minutes=9) if status == "unhealthy" else None,
                last_interaction_at=now - timedelta(minutes=3 * number + 1),
                last_interaction_kind="visit",
                awake_since=now - timedelta(hours=3),
                last_backup_at=now - timedelta(minutes=3),
                last_snapshot=f"{now - timedelta(minutes=3):%Y%m%dT%H%M%SZ}",
                health=_figures(chance, number % 3),
            )
        )
    more = {"owner": alice, "region": "iad", "last_checked_at": now, "last_result": "ok"}
    more |= {"health": _figures(chance, 0), "last_backup_at": now - timedelta(minutes=4)}
    sawmill = make_town(name="sawmill", last_interaction_at=now - timedelta(minutes=22), **more)
    asleep = {"status": "stopped", "stop_reason": "idle", "desired_state": "stopped"}
    make_town(name="dozing", **asleep, **more)
    gone = {"status": "destroyed", "desired_state": "destroyed"}
    make_town(name="gone", destroyed_at=now - timedelta(days=3), **gone, **more)
    coming = make_town(name="pottery", status="starting", **more)
    _make_history(chance, towns)
    moments = {"created_at": now - timedelta(seconds=20), "due_at": now + timedelta(seconds=3)}
    log = [
        {"step": step, "at": (now - timedelta(seconds=5)).isoformat(), "note": ""}
        for step in ("look_at_machine", "start_machine", "await_started")
    ]
    for one in (towns[12], coming):
        make_operation(one, OperationKind.START, step="await_healthy", log=log, **moments)
    Alert.objects.create(
        town=towns[11],
        cause="start_failed",
        subject=str(towns[11].pk),
        severity="critical",
        message="The start failed: no capacity on its host.",
        opened_at=now - timedelta(minutes=12),
        seen_at=now,
    )
    lone = User.objects.create_user("lone", "lone@example.com", password)
    return {
        "dashboard": (alice.username, "/dashboard/"),
        "dashboard-town": (alice.username, f"/dashboard/towns/{sawmill.pk}/?peek=1"),
        "dashboard-busy": (alice.username, f"/dashboard/towns/{coming.pk}/?peek=1"),
        "dashboard-empty": (lone.username, "/dashboard/"),
        **{
            name: (ann.username, f"/admin/{path}")
            for name, path in _console(towns, ann, now).items()
        },
    }


def _figures(chance: random.Random, polecats: int) -> dict[str, Any]:
    return {
        "daemon_running": True,
        "dolt_running": True,
        "tmux_sessions": 7,
        "polecats_active": polecats,
        "polecats_total": 3,
        "merge_queue": None,
        "disk_used": chance.randint(2, 12) * 10**9,
        "disk_total": 50 * 10**9,
        "memory_used": 2 * 10**9,
        "memory_total": 8 * 10**9,
        "cpu_ratio": 0.3,
    }


def _make_history(chance: random.Random, towns: list[Any]) -> None:
    """A day of sweeps of all, and of checks of one town that failed for half an hour."""
    now, mill = timezone.now(), towns[1]
    for kind, period in (("health", 3), ("idle", 3), ("reconcile", 10), ("backups", 15)):
        for number in range(1440 // period):
            slot = now - timedelta(minutes=period * number)
            failed = chance.choice([0, 0, 0, 1, 2])
            Sweep.objects.create(
                kind=kind,
                slot=slot,
                started_at=slot + timedelta(seconds=chance.random()),
                finished_at=slot + timedelta(seconds=4 + 8 * chance.random()),
                towns=len(towns),
                summary={"results": {"ok": 10 - failed, "failed": failed}, "asleep": failed},
            )
    deeds = (("stop", 300), ("start", 280), ("restart", 190), ("backup", 60))
    for kind, minutes in deeds:
        began = now - timedelta(minutes=minutes)
        actor = "idle" if kind == "stop" else "health" if kind == "restart" else "alice"
        operation = make_operation(
            mill,
            OperationKind(kind),
            state=OperationState.SUCCEEDED,
            actor=actor,
            automatic=actor != "alice",
            created_at=began,
            finished_at=began + timedelta(seconds=12),
        )
        who = Actor(actor, automatic=actor != "alice")
        record(mill, f"{kind}_requested", actor=who, now=began, operation=operation)
        ended = began + timedelta(seconds=12)
        record(mill, f"{kind}_succeeded", actor=who, now=ended, operation=operation)
    for number in range(480):
        at, bad = now - timedelta(minutes=3 * number), 60 < number < 70
        HealthCheck.objects.create(
            town=mill,
            slot=at,
            checked_at=at,
            result="failed" if bad else "ok",
            kind="timeout" if bad else "",
            reason="time-out after 5 s" if bad else "",
            latency_ms=None if bad else chance.randint(30, 70),
            polecats_active=None if bad else number // 50 % 4,
            polecats_total=4,
            disk_used=(3000 + 480 - number) * 10**6,
            disk_total=50 * 10**9,
            memory_used=None if bad else 2 * 10**9 + chance.randint(0, 10**9),
            memory_total=8 * 10**9,
            cpu_ratio=None if bad else 0.6 * chance.random(),
        )


def _console(towns: list[Town], ann: User, now: datetime) -> dict[str, str]:
    """The console's pages, below /admin/, with what they show."""
    mill, foundry = towns[1], towns[3]
    earlier = now - timedelta(hours=2)
    for hours in range(5):
        made = now - timedelta(hours=hours, minutes=3)
        Backup.objects.create(
            town=mill,
            snapshot=f"{made:%Y%m%dT%H%M%SZ}",
            created_at=made,
            verified_at=made,
            bytes=(310 - hours) * 10**6,
            files=4200,
        )
    held = Backup.objects.create(
        town=foundry, snapshot="20260217T120000Z", created_at=now, bytes=10**6, files=3, held=True
    )
    make_drill(mill, began_at=earlier, finished_at=now, cleaned_at=now)
    orphan = Orphan.objects.create(
        fly_id="vol_4y5v8q0w3",
        kind="volume",
        cause="old_volume",
        town=mill,
        region="ams",
        size_gb=50,
        reason="Old volume of generation 1: the machine that held it is gone.",
        made_at=earlier,
        first_seen_at=earlier,
        last_seen_at=now,
    )
    Freeze.objects.create(
        scope="recovery", reason="Fly moves hosts in ams.", actor="ann", since=earlier
    )
    create_webhook("billing", "https://billing.example.com/hook", actor=Actor("ann"), now=now)
    replay = runs.begin_run(["IDLE_TIMEOUT_MINUTES=15"], days=2, actor=Actor("ann"), now=now)
    runs.go_on(replay.pk, lambda: now, enough=lambda: False)
    asked_by_ann = Actor.person(ann)
    cancelled = runs.begin_run(["RESTART_LIMIT=5"], days=2, actor=asked_by_ann, now=now)
    runs.go_on(cancelled.pk, lambda: now, enough=lambda: True)
    runs.cancel_run(cancelled.pk, actor=asked_by_ann, now=now)
    waiting = runs.begin_run(["IDLE_TIMEOUT_MINUTES=60"], days=1, actor=asked_by_ann, now=now)
    bulk = BulkRun.objects.create(
        kind=OperationKind.STOP,
        state=BulkRun.State.PAUSED,
        note="3 failed, so it pauses.",
        reason="Fly moves hosts.",
        actor="ann",
        user=ann,
        selection="3 towns that were ticked",
        created_at=earlier,
        started_at=earlier,
    )
    for town, state in zip(towns, ("done", "failed", "waiting"), strict=False):
        bulk.items.create(town=town, state=state, told="no capacity" if state == "failed" else "")
    return {
        "overview": "",
        "towns": "towns/town/",
        "towns-nothing-found": "towns/town/?q=nothing-like-it",
        "town": f"towns/town/{mill.pk}/change/",
        "town-failing": f"towns/town/{towns[10].pk}/change/",
        "town-starting": f"towns/town/{towns[12].pk}/change/",
        "town-new": "towns/town/add/",
        "destroy": f"towns/town/act/destroy/?towns={mill.pk}",
        "stop-many": f"towns/town/act/stop/?towns={mill.pk},{towns[8].pk}",
        "operations": "towns/operation/",
        "operation": f"towns/operation/{mill.operations.latest('created_at').pk}/change/",
        "alerts": "towns/alert/",
        "alert": f"towns/alert/{Alert.objects.latest('pk').pk}/change/",
        "replays": "towns/replayrun/",
        "replay-new": "towns/replayrun/add/",
        "replay": f"towns/replayrun/{replay.pk}/change/",
        "replay-waiting": f"towns/replayrun/{waiting.pk}/change/",
        "replay-cancelled": f"towns/replayrun/{cancelled.pk}/change/",
        "freezes": "towns/freeze/",
        "freeze": "towns/freeze/freeze/",
        "thaw": "towns/freeze/thaw/?scope=recovery",
        "windows": "towns/maintenancewindow/",
        "window-new": "towns/maintenancewindow/add/",
        "webhooks": "towns/webhookendpoint/",
        "webhook-new": "towns/webhookendpoint/add/",
        "token-new": "towns/apitoken/add/",
        "backups": "towns/backup/",
        "backup-held": f"towns/backup/{held.pk}/change/",
        "backup-decide": f"towns/backup/{held.pk}/decide/accept/",
        "orphans": "towns/orphan/",
        "orphan-confirm": f"towns/orphan/confirm/?orphans={orphan.pk}",
        "drills": "towns/drill/",
        "sweeps": "towns/sweep/",
        "events": "towns/lifecycleevent/",
        "checks": "towns/healthcheck/",
        "bulk-work": "towns/bulkrun/",
        "bulk-run": f"towns/bulkrun/{bulk.pk}/change/",
        "users": "auth/user/",
        "schedules": "django_q/schedule/",
    }
