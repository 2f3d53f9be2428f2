"""What a health sweep is measured against. `python -m bench.bare NAME URL_TEMPLATE` asks all towns
of DATABASE_URL once, stores what they say, and prints what it cost as JSON.

`aiohttp`: a bare loop that fetches and parses, and a bare COPY of checks; it decides nothing and
changes no town. What a bare UPDATE of towns costs on top is told for itself. `requests`: threads
with a session each, `bulk_create` of checks and `bulk_update` of towns.
"""

import asyncio
import itertools
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import aiohttp
import psycopg
import requests

from bench.processes import cpu_seconds

SLOTS = 1000
"""As many as a runner has."""
THREADS = 32
SECONDS = 5
ROWS = 1000
_COLUMNS = (
    "town_id, slot, checked_at, result, kind, reason, latency_ms, heartbeat_at, daemon_running, "
    "dolt_running, tmux_sessions, polecats_active, polecats_total, merge_queue, disk_used, "
    "disk_total, memory_used, memory_total, cpu_ratio"
)


def main() -> None:
    """From the shell."""
    name, template = sys.argv[1:]
    database = os.environ["DATABASE_URL"]
    with psycopg.connect(database, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT id::text, machine_id FROM towns_town WHERE status = 'running' ORDER BY id"
        ).fetchall()
    urls = [template.format(town_id=town, machine_id=machine) + "/health" for town, machine in rows]
    towns = [town for town, _ in rows]
    fetch, store = {"aiohttp": (_aiohttp, _copy), "requests": (_requests, _orm)}[name]
    if name == "requests":
        import django

        django.setup()
    reports, fetched = _measured(lambda: fetch(urls))
    told: dict[str, Any] = {"fetch": fetched, "store": _stored(lambda: store(towns, reports))}
    told["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if name == "aiohttp":
        told["update"] = _stored(lambda: _update(towns, reports))
    print(json.dumps(told))


def _stored(work: Callable[[], float]) -> dict[str, float]:
    """With what the one backend of PostgreSQL that did it has cost."""
    backend, cost = _measured(work)
    return {**cost, "backend": backend}


def _measured(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    cost = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return found, cost


def _aiohttp(urls: list[str]) -> list[Any]:
    found: list[Any] = [None] * len(urls)

    async def slot(session: aiohttp.ClientSession, waiting: Any) -> None:
        for number, url in waiting:
            try:
                async with session.get(url) as response:
                    found[number] = json.loads(await response.read())
            except (aiohttp.ClientError, TimeoutError):
                continue

    async def fetch() -> None:
        own = len({url.split("/")[2] for url in urls}) > 1
        connector = aiohttp.TCPConnector(limit=0, force_close=own)
        limit = aiohttp.ClientTimeout(total=SECONDS)
        waiting = enumerate(urls)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=limit) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(SLOTS):
                group.create_task(slot(session, waiting))

    import uvloop

    uvloop.run(fetch())
    return found


def _copy(towns: list[str], reports: list[Any]) -> float:
    now = datetime.now(UTC)
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        for rows in _by_thousand(towns, reports):
            with (
                connection.cursor() as cursor,
                cursor.copy(f"COPY towns_healthcheck ({_COLUMNS}) FROM STDIN") as copy,
            ):
                for town, report in rows:
                    copy.write_row((town, *_row(report, now)))
            connection.commit()
        return cpu_seconds(connection.info.backend_pid)


def _update(towns: list[str], reports: list[Any]) -> float:
    now = datetime.now(UTC)
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        for rows in _by_thousand(towns, reports):
            told = [
                {
                    "id": town,
                    "beat": report["daemon"]["last_heartbeat_at"],
                    "health": _figures(report),
                }
                for town, report in rows
            ]
            connection.execute(
                "UPDATE towns_town t SET last_checked_at = %s, last_ok_at = %s, last_slot = %s, "
                "last_result = 'ok', last_heartbeat_at = n.beat, health = n.health "
                "FROM json_to_recordset(%s) AS n (id uuid, beat timestamptz, health jsonb) "
                "WHERE t.id = n.id",
                (now, now, now, json.dumps(told)),
            )
            connection.commit()
        return cpu_seconds(connection.info.backend_pid)


def _by_thousand(towns: list[str], reports: list[Any]) -> Iterator[list[tuple[str, Any]]]:
    found = zip(towns, reports, strict=True)
    while rows := list(itertools.islice(found, ROWS)):
        yield [(town, report) for town, report in rows if report is not None]


def _figures(report: Any) -> dict[str, Any]:
    names = _COLUMNS.split(", ")[1:]
    values = dict(zip(names, _row(report, datetime.min), strict=True))
    return {name: values[name] for name in names[names.index("daemon_running") :]}


def _row(report: Any, now: datetime) -> tuple[Any, ...]:
    disk, memory, polecats = report["disk"], report["memory"], report["polecats"]
    return (
        now,  # its slot: the index of checks by town and slot is a part of the cost
        now,
        "ok",
        "",
        "",
        20,
        report["daemon"]["last_heartbeat_at"],
        report["daemon"]["running"],
        report["dolt"]["running"],
        report["tmux"]["sessions"],
        polecats["active"],
        polecats["total"],
        report["merge_queue"]["in_flight"],
        disk["used_bytes"],
        disk["total_bytes"],
        memory["used_bytes"],
        memory["total_bytes"],
        report["cpu"]["used_ratio"],
    )


def _requests(urls: list[str]) -> list[Any]:
    mine = threading.local()

    def fetch(url: str) -> Any:
        try:
            session = mine.session
        except AttributeError:
            session = mine.session = requests.Session()
        try:
            return json.loads(session.get(url, timeout=SECONDS).content)
        except requests.RequestException:
            return None

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(fetch, urls))


def _orm(towns: list[str], reports: list[Any]) -> float:
    from django.db import connection, transaction

    from towns.models import HealthCheck, Town
    from towns.sweeps.strikes import SAVED

    now = datetime.now(UTC)
    names = _COLUMNS.split(", ")[1:]
    rows = {str(town.pk): town for town in Town.objects.filter(status="running")}
    with transaction.atomic():
        HealthCheck.objects.bulk_create(
            [
                HealthCheck(town_id=town, **dict(zip(names, _row(report, now), strict=True)))
                for town, report in zip(towns, reports, strict=True)
                if report is not None
            ],
            batch_size=500,
        )
        for name, report in zip(towns, reports, strict=True):
            town = rows[name]
            town.last_checked_at = town.last_ok_at = town.last_slot = now
            town.last_result, town.health = "ok", {} if report is None else _figures(report)
        Town.objects.bulk_update(rows.values(), SAVED, batch_size=500)
    return cpu_seconds(connection.connection.info.backend_pid)


if __name__ == "__main__":
    main()
