"""A large fleet for `bench.pages`, made by statements inside PostgreSQL."""

import time
from typing import Any

MANY = "owner-of-many"
"""Has 600 towns."""
LONG = "long-lived"
"""The name of a town with a long history."""
FAILING = 20_000
CHECK_COLUMNS = (
    "town_id, slot, checked_at, result, kind, reason, latency_ms, heartbeat_at, daemon_running, "
    "dolt_running, tmux_sessions, polecats_active, polecats_total, merge_queue, disk_used, "
    "disk_total, memory_used, memory_total, cpu_ratio, connected"
)

_LONG_TOWN = f"(SELECT id FROM towns_town WHERE name = '{LONG}')"
_LONG_HISTORY = (
    f"UPDATE towns_town SET name = '{LONG}' WHERE id = (SELECT id FROM towns_town "
    "WHERE status = 'running' ORDER BY created_at DESC LIMIT 1)",
    f"UPDATE towns_town SET owner_id = (SELECT id FROM auth_user WHERE username = '{MANY}') "
    f"WHERE id IN (SELECT id FROM towns_town WHERE name <> '{LONG}' ORDER BY created_at LIMIT 600)",
    "INSERT INTO towns_lifecycleevent (town_id, at, kind, from_status, to_status, actor, "
    f"automatic, reason, data) SELECT {_LONG_TOWN}, now() - make_interval(mins => n), "
    "'start_done', '', '', 'alice', false, 'for a test', '{}' FROM generate_series(1, 20000) AS n",
    "INSERT INTO towns_operation (id, town_id, kind, state, step, attempt, message, log, actor, "
    "automatic, reason, params, learned, status_before, undoing, created_at, due_at, finished_at, "
    f"lease_owner, lease_number) SELECT gen_random_uuid(), {_LONG_TOWN}, 'restart', 'succeeded', "
    "'done', 0, '', '[]', 'sweep:restarts', true, '', '{}', '{}', 'running', '', at, at, at, '', 0 "
    "FROM generate_series(now() - interval '1 year', now(), interval '2 hours') AS at",
    "INSERT INTO towns_alert (town_id, cause, subject, severity, message, data, opened_at, "
    f"seen_at, resolved_at, resolution) SELECT {_LONG_TOWN}, 'disk_warning', 'long', 'warning', "
    "'Its disk is nearly full.', '{}', at, at, at, '' "
    "FROM generate_series(now() - interval '1 year', now(), interval '4 hours') AS at",
)
_WEBHOOKS = (
    "INSERT INTO towns_webhookendpoint (id, name, url, kinds, enabled, disabled_why, created_at, "
    "created_by, secret_version, secret_at, settled, failures) SELECT gen_random_uuid(), "
    "'hook-' || n, 'https://hooks.example.com/', '[]', true, '', now(), 'alice', 1, now(), 0, 0 "
    "FROM generate_series(1, 50) AS n",
    "INSERT INTO towns_webhookdelivery (endpoint_id, event_id, state, created_at, due_at, "
    "attempts, last_error, in_doubt, ended_at) SELECT w.id, e.id, CASE WHEN e.id % 20 = 0 THEN "
    "'pending' WHEN e.id % 20 = 1 THEN 'given_up' ELSE 'sent' END, now(), now(), 1, '', false, "
    "CASE WHEN e.id % 20 = 0 THEN NULL ELSE now() END FROM towns_webhookendpoint w, "
    "(SELECT id FROM towns_lifecycleevent ORDER BY id LIMIT 4000) e",
)
_STORM = (
    "ALTER TABLE towns_town DISABLE TRIGGER USER",
    "UPDATE towns_town SET status = 'unhealthy', desired_state = 'running', stop_reason = '', "
    "failure_kind = 'unreachable', failure_reason = 'It does not answer.', last_result = 'failed', "
    "consecutive_failures = 3, episode_since = now() - make_interval(secs => 180 * random()) "
    "WHERE id IN (SELECT id FROM towns_town WHERE region = 'ams' AND status <> 'destroyed' "
    f"LIMIT {FAILING})",
    "ALTER TABLE towns_town ENABLE TRIGGER USER",
    "INSERT INTO towns_alert (town_id, cause, subject, severity, message, data, opened_at, "
    "seen_at, resolution) SELECT id, 'unhealthy', id::text, 'critical', 'It does not answer.', "
    "'{}', episode_since, now(), '' FROM towns_town WHERE status = 'unhealthy' "
    "AND episode_since IS NOT NULL",
)


def fill(towns: int, checks: int) -> None:
    """A calm fleet, with much behind it."""
    from django.contrib.auth.models import User
    from django.db import connection

    owners = User.objects.bulk_create(User(username=f"owner-{n}") for n in range(2000))
    User.objects.bulk_create([User(username=MANY)])
    first = owners[0].pk
    per_town = max(1, checks // towns)
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE towns_town DISABLE TRIGGER USER")
        cursor.execute(*town_rows(towns, first))
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
        for statement in (*_LONG_HISTORY, *_WEBHOOKS):
            cursor.execute(statement)
    _settle()
    took = time.perf_counter() - began
    print(f"{towns:,} towns and {per_town * towns:,} checks made in {took:.0f} s")


def town_rows(towns: int, first_owner: int) -> tuple[str, list[Any]]:
    """The statement that makes them, of 2,000 owners from that key on, and its parameters."""
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


def storm() -> None:
    """A region is lost: what runs there fails, with an alert each."""
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in _STORM:
            cursor.execute(statement)
    _settle()


def _settle() -> None:
    """What filling has left the database to do, or it would do that while pages are measured."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
