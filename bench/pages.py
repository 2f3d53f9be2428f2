"""`python -m bench.pages [--towns N] [--checks N]`: what the pages of a large fleet cost.

It makes a database of its own on the server of GASTOWN_TEST_POSTGRESQL, fills it with towns,
checks, events, operations and alerts, asks each page in this process, and drops the database again.
Time is that of the whole request, Django's part included; the median of some requests is told.
"""

import argparse
import os
import statistics
import sys
import time
from typing import Any

from bench.history import SERVER

NAME = "gastown_bench_pages"
TIMES = 15
LIMIT_MS = 150
CHECK_COLUMNS = (
    "town_id, slot, checked_at, result, kind, reason, latency_ms, heartbeat_at, daemon_running, "
    "dolt_running, tmux_sessions, polecats_active, polecats_total, merge_queue, disk_used, "
    "disk_total, memory_used, memory_total, cpu_ratio, connected"
)


def main() -> int:
    """The exit code: 1 if a page is over the limit."""
    import psycopg

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--towns", type=int, default=100_000)
    parser.add_argument("--checks", type=int, default=5_000_000)
    wanted = parser.parse_args()
    try:
        server = psycopg.connect(f"{SERVER}/postgres", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        print(f"PostgreSQL does not answer at {SERVER}.")
        return 2
    server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
    server.execute(f"CREATE DATABASE {NAME}")
    try:
        _set_up()
        _fill(wanted.towns, wanted.checks)
        return _ask_all(wanted.towns, wanted.checks)
    finally:
        server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")


def _set_up() -> None:
    os.environ.update(
        DATABASE_URL=f"{SERVER}/{NAME}",
        GASTOWN_ENV_FILE="",
        DJANGO_SETTINGS_MODULE="gastown_ops.settings",
        DEBUG="true",
        LOG_LEVEL="ERROR",
        ALLOWED_HOSTS="testserver",
    )
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.DEBUG = False
    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    call_command("migrate", verbosity=0, skip_checks=True)


def _fill(towns: int, checks: int) -> None:
    """By statements that make the rows inside the database."""
    from django.contrib.auth.models import User
    from django.db import connection

    owners = User.objects.bulk_create(User(username=f"owner-{n}") for n in range(2000))
    first = owners[0].pk
    per_town = max(1, checks // towns)
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE towns_town DISABLE TRIGGER USER")
        cursor.execute(*_towns(towns, first))
        cursor.execute("ALTER TABLE towns_town ENABLE TRIGGER USER")
        for number in range(per_town):
            cursor.execute(
                f"INSERT INTO towns_healthcheck ({CHECK_COLUMNS}) "
                "SELECT id, at, at, 'ok', '', '', 31, at, true, true, 7, 0, 3, 0, 1200000000, "
                "50000000000, 900000000, 8000000000, 0.12, false FROM towns_town, "
                "(SELECT date_trunc('second', now()) - make_interval(secs => 180 * %s) AS at) t",
                [number],
            )
        cursor.execute(
            "INSERT INTO towns_operation (id, town_id, kind, state, step, attempt, message, log, "
            "actor, automatic, reason, params, learned, status_before, undoing, created_at, "
            "due_at, finished_at, lease_owner, lease_number) SELECT gen_random_uuid(), id, "
            "(ARRAY['start', 'stop', 'restart', 'backup'])[1 + n %% 4], "
            "CASE WHEN n = 0 AND number %% 200 = 0 THEN 'open' ELSE 'succeeded' END, 'done', 0, "
            "'', '[]', CASE WHEN n = 1 THEN 'sweep:idle' ELSE 'alice' END, n = 2, '', '{}', '{}', "
            "'running', '', now() - make_interval(hours => 7 * n), now(), "
            "now() - make_interval(hours => 7 * n), '', 0 "
            "FROM (SELECT id, row_number() OVER () AS number FROM towns_town) t, "
            "generate_series(0, 3) AS n",
            [],
        )
        cursor.execute(
            "INSERT INTO towns_lifecycleevent (town_id, at, kind, from_status, to_status, actor, "
            "automatic, reason, data) SELECT id, now() - make_interval(hours => 9 * n), "
            "'start_done', '', '', 'alice', false, 'for a test', '{}' FROM towns_town, "
            "generate_series(1, 5) AS n"
        )
        cursor.execute(
            "INSERT INTO towns_alert (town_id, cause, subject, severity, message, data, opened_at, "
            "seen_at, resolved_at, resolution) SELECT id, 'disk_warning', id::text, 'warning', "
            "'Its disk is nearly full.', '{}', now(), now(), CASE WHEN number %% 300 = 0 THEN NULL "
            "ELSE now() END, '' FROM (SELECT id, row_number() OVER () AS number FROM towns_town) t "
            "WHERE number %% 20 = 0",
            [],
        )
        cursor.execute(
            "INSERT INTO towns_sweep (kind, slot, started_at, finished_at, towns, summary) "
            "SELECT kind, at, at, at + interval '40 s', %s, "
            """'{"results": {"ok": 41000, "failed": 12, "unknown": 3}}' FROM """
            "unnest(ARRAY['health', 'idle', 'reconcile', 'backups']) AS kind, "
            "generate_series(now() - interval '1 day', now(), interval '3 min') AS at",
            [towns],
        )
        cursor.execute("ANALYZE")
    print(f"{towns:,} towns and {per_town * towns:,} checks made in {_since(began):.0f} s")


def _towns(towns: int, first_owner: int) -> tuple[str, list[Any]]:
    status = (
        "CASE WHEN n % 1000 < 2 THEN 'error' WHEN n % 1000 < 5 THEN 'unhealthy' "
        "WHEN n % 5 < 2 THEN 'running' ELSE 'stopped' END"
    ).replace("%", "%%")
    values = {
        "id": "gen_random_uuid()",
        "owner_id": "%s + n %% 2000",
        "name": "'town-' || n",
        "region": "(ARRAY['iad', 'ams', 'fra', 'syd'])[1 + n %% 4]",
        "image": "'registry.example/town:' || (40 + n %% 3)",
        "created_at": "now() - make_interval(secs => n)",
        "status": status,
        "status_reason": "''",
        "status_since": "now() - make_interval(mins => n %% 3000)",
        "desired_state": f"CASE WHEN ({status}) = 'stopped' THEN 'stopped' ELSE 'running' END",
        "stop_reason": f"CASE WHEN ({status}) = 'stopped' THEN 'idle' ELSE '' END",
        "machine_id": "lpad(to_hex(n), 14, '0')",
        "volume_id": "'vol_' || n",
        "generation": "1",
        "key_version": "1",
        "last_checked_at": "now()",
        "last_result": "'ok'",
        "health": "'{\"polecats_active\": 0}'",
        "consecutive_failures": "0",
        "failure_kind": "''",
        "failure_reason": "''",
        "flap_count": "0",
        "last_interaction_at": "now() - make_interval(secs => n %% 86400)",
        "last_interaction_kind": "'visit'",
        "idle_timeout_minutes": "30",
        "auto_stop": "true",
        "hold_reason": "''",
        "idle_sync_failures": "0",
        "last_backup_at": "now()",
        "last_snapshot": "''",
    }
    names, made = ", ".join(values), ", ".join(values.values())
    text = f"INSERT INTO towns_town ({names}) SELECT {made} FROM generate_series(1, %s) AS n"
    return text, [first_owner, towns]


def _ask_all(towns: int, checks: int) -> int:
    from django.contrib.auth.models import User
    from django.core.cache import cache
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from towns.models import Town
    from towns.overview import fleet

    client = Client()
    client.force_login(User.objects.create_superuser("bench"))
    town = Town.objects.filter(status="running").first()
    assert town is not None
    one = f"town__id__exact={town.pk}"
    pages = {
        "overview, kept figures": "/admin/",
        "overview, counted anew": "/admin/",
        "towns": "/admin/towns/town/",
        "towns, page 40": "/admin/towns/town/?p=40",
        "towns in error": "/admin/towns/town/?status__exact=error",
        "towns that run, in ams": "/admin/towns/town/?status__exact=running&region=ams",
        "towns by owner/name": f"/admin/towns/town/?q={town.owner.get_username()}/{town.name}",
        "towns, a word looked for": "/admin/towns/town/?q=4242",
        "town page": f"/admin/towns/town/{town.pk}/change/",
        "town page, 7 days": f"/admin/towns/town/{town.pk}/change/?span=week",
        "alerts": "/admin/towns/alert/",
        "events": "/admin/towns/lifecycleevent/",
        "events of a town": f"/admin/towns/lifecycleevent/?{one}",
        "operations": "/admin/towns/operation/",
        "checks of a town": f"/admin/towns/healthcheck/?{one}",
        "API: towns": "/api/v1/towns",
        "API: fleet": "/api/v1/fleet",
        "metrics": "/metrics",
    }
    pages["bulk work: preview"] = f"/admin/towns/bulkrun/{_bulk_run()}/change/"
    slow = 0
    print(f"{'page':30} {'median':>9} {'slowest':>9} {'statements':>11}")
    for name, path in pages.items():
        took, statements = [], 0
        for _ in range(TIMES):
            if name.endswith("anew"):
                cache.delete(fleet.KEY)
            with CaptureQueriesContext(connection) as captured:
                began = time.perf_counter()
                answer = client.get(path)
                took.append(1000 * _since(began))
            assert answer.status_code == 200, (path, answer.status_code)
            statements = len(captured)
        median = statistics.median(took)
        slow += median > LIMIT_MS
        mark = "" if median <= LIMIT_MS else f"   over {LIMIT_MS} ms"
        print(f"{name:30} {median:6.0f} ms {max(took):6.0f} ms {statements:11}{mark}", flush=True)
    return 1 if slow else 0


def _bulk_run() -> int:
    """A run that stops all towns, previewed; tells what making it took."""
    from django.contrib.auth.models import User
    from django.utils import timezone

    from towns.bulk_work.advance import advance
    from towns.bulk_work.plan import make_plan
    from towns.models import Town
    from towns.words import OperationKind

    user, now, began = User.objects.get(username="bench"), timezone.now(), time.perf_counter()
    run = make_plan(OperationKind.STOP, Town.objects.all(), user=user, selection="all", now=now)
    asked = _since(began)
    while advance(run.pk, now):
        pass
    print(f"bulk work: all towns chosen in {asked:.2f} s, looked at in {_since(began):.1f} s")
    return run.pk


def _since(began: float) -> float:
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
