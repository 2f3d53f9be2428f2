"""`python -m tests.browser.screenshots`: the pictures of the pages in docs/.

A fleet is made up in a database of its own, served by uvicorn, and looked at in Chromium: wide and
on a phone, light and dark.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PASSWORD = "for-pictures-only"
SIZES = {"wide": (1280, 900), "phone": (390, 844)}
NAMES = (
    *("harbour", "mill", "quarry", "foundry", "tannery", "brewery", "granary", "smithy"),
    *("chapel", "orchard", "lighthouse", "ferry", "depot", "kiln"),
)
STATUSES = (*["running"] * 8, "stopped", "stopped", "unhealthy", "error", "starting", "recovering")


def main() -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            DATABASE_URL=f"sqlite:///{Path(folder) / 'pictures.sqlite3'}",
            DJANGO_SETTINGS_MODULE="gastown_ops.settings",
            GASTOWN_ENV_FILE="",
            DEBUG="true",
            LOG_LEVEL="ERROR",
        )
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0, skip_checks=True)
        paths = make_fleet()
        with _served() as address:
            _take(address, paths)
    return 0


def make_fleet() -> dict[str, tuple[str, str]]:
    """A fleet with something of everything; returns who looks at which path, by picture."""
    from django.contrib.auth.models import User
    from django.utils import timezone

    from tests.factories import make_operation, make_town
    from towns.models import Alert, Town
    from towns.words import OperationKind

    chance, now = random.Random(4), timezone.now()
    User.objects.create_superuser("ann", "ann@example.com", PASSWORD)
    alice = User.objects.create_user("alice", "alice@example.com", PASSWORD)
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
                health=_figures(chance, number % 3),
            )
        )
    more = {"owner": alice, "region": "iad", "last_checked_at": now, "last_result": "ok"}
    more |= {"health": _figures(chance, 0), "last_backup_at": now - timedelta(minutes=4)}
    make_town(name="sawmill", last_interaction_at=now - timedelta(minutes=22), **more)
    asleep = {"status": "stopped", "stop_reason": "idle", "desired_state": "stopped"}
    make_town(name="dozing", **asleep, **more)
    gone = {"status": "destroyed", "desired_state": "destroyed"}
    make_town(name="gone", destroyed_at=now - timedelta(days=3), **gone, **more)
    _make_history(chance, towns)
    moments = {"created_at": now - timedelta(seconds=20), "due_at": now + timedelta(seconds=3)}
    make_operation(towns[12], OperationKind.START, step="await_healthy", **moments)
    Alert.objects.create(
        town=towns[11],
        cause="start_failed",
        subject=str(towns[11].pk),
        severity="critical",
        message="The start failed: no capacity on its host.",
        opened_at=now - timedelta(minutes=12),
        seen_at=now,
    )
    return {
        "overview": ("ann", "/admin/"),
        "towns": ("ann", "/admin/towns/town/"),
        "town": ("ann", f"/admin/towns/town/{towns[1].pk}/change/"),
        "dashboard": ("alice", "/dashboard/"),
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
    from django.utils import timezone

    from towns.models import HealthCheck, Sweep

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
                summary={"results": {"ok": 10 - failed, "failed": failed}},
            )
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


@contextmanager
def _served() -> Iterator[str]:
    from towns.demo.places import free_port

    port = free_port(0)
    command = [sys.executable, "-m", "uvicorn", "gastown_ops.asgi:application", "--lifespan", "off"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--log-level", "error"], cwd=ROOT, env=dict(os.environ)
    )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 30
        while not _answers(address):
            if time.monotonic() > until or server.poll() is not None:
                raise RuntimeError("the web server did not start")
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _take(address: str, paths: dict[str, tuple[str, str]]) -> None:
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import FLAGS

    chromium = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                for name, (user, path) in paths.items():
                    page = browser.new_page(
                        viewport={"width": width, "height": height},
                        color_scheme="dark" if scheme == "dark" else "light",
                    )
                    page.goto(f"{address}/accounts/login/?next={path}")
                    page.fill("[name=username]", user)
                    page.fill("[name=password]", PASSWORD)
                    page.press("[name=password]", "Enter")
                    page.wait_for_url(f"{address}{path}")
                    page.wait_for_timeout(400)
                    page.screenshot(path=DOCS / f"{name}-{size}-{scheme}.png")
                    page.close()
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
