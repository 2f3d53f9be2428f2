"""`python -m bench.pages [--towns N] [--checks N]`: what the pages of a large fleet cost.

It makes a database of its own on the server of GASTOWN_TEST_POSTGRESQL, fills it with towns,
checks, events, operations, alerts and webhooks, asks each page in this process, and drops the
database again: first while all is calm, then while a region is lost, with 20,000 towns that fail.
Time is that of the whole request, Django's part included; the median of some requests is told.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Mapping
from typing import Any

from bench import fleet
from bench.database import NoServer, own_database

NAME = "gastown_bench_pages"
TIMES = 15
LIMIT_MS = 150


def main() -> int:
    """The exit code: 1 if a page is over the limit, 2 if there is no server."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--towns", type=int, default=100_000)
    parser.add_argument("--checks", type=int, default=5_000_000)
    wanted = parser.parse_args()
    try:
        with own_database(NAME):
            fleet.fill(wanted.towns, wanted.checks)
            slow = _ask_all()
    except NoServer as error:
        print(error)
        return 2
    return 1 if slow else 0


def _ask_all() -> int:
    """How many pages are over the limit."""
    from django.contrib.auth.models import User
    from django.test import Client

    from towns.models import Town

    town = Town.objects.filter(status="running").exclude(name=fleet.LONG).first()
    assert town is not None
    long = Town.objects.get(name=fleet.LONG)
    staff, owner = Client(), Client()
    staff.force_login(User.objects.create_superuser("bench"))
    owner.force_login(User.objects.get(username=fleet.MANY))
    own = Town.objects.filter(owner__username=fleet.MANY).first()
    assert own is not None
    plan = _bulk_run()
    _wrong_stops()
    slow = _ask(staff, _fleet_pages(town))
    slow += _ask(staff, _long_pages(long))
    slow += _ask(
        staff,
        {
            "webhooks": "/admin/towns/webhookendpoint/",
            "webhook deliveries": "/admin/towns/webhookdelivery/",
            "bulk work: preview": f"/admin/towns/bulkrun/{plan}/change/",
            "API: webhooks": "/api/v1/webhooks",
        },
    )
    slow += _ask(
        owner,
        {
            "dashboard, 600 towns": "/dashboard/",
            "dashboard, a town": f"/dashboard/towns/{own.pk}/?peek=1",
        },
    )
    print("A region is lost:")
    fleet.storm()
    failing = Town.objects.filter(episode_since__isnull=False).first()
    assert failing is not None
    slow += _ask(staff, {**_fleet_pages(failing), "API: what fails": "/api/v1/failures"})
    return slow


def _fleet_pages(town: Any) -> dict[str, str]:
    one = f"town__id__exact={town.pk}"
    return {
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


def _long_pages(town: Any) -> dict[str, str]:
    one = f"town__id__exact={town.pk}"
    return {
        "long history: town page": f"/admin/towns/town/{town.pk}/change/?span=week",
        "long history: events": f"/admin/towns/lifecycleevent/?{one}",
        "long history: operations": f"/admin/towns/operation/?{one}",
        "long history: API": f"/api/v1/towns/{town.pk}/events",
    }


def _ask(client: Any, pages: Mapping[str, str]) -> int:
    from django.core.cache import cache
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from towns.overview import day
    from towns.overview import fleet as overview

    slow = 0
    print(f"{'page':30} {'median':>9} {'slowest':>9} {'statements':>11}")
    for name, path in pages.items():
        took, statements = [], 0
        for _ in range(TIMES):
            if name.endswith("anew"):
                cache.delete_many([overview.KEY, day.KEY])
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
    return slow


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


def _wrong_stops() -> None:
    from django.utils import timezone

    from towns.replay import wrong_stops

    began = time.perf_counter()
    found = wrong_stops.wrong_stop_rate(timezone.now())
    kept = wrong_stops.KEPT_SECONDS
    print(f"wrong-stop rate: {found.stops:,} stops in {_since(began):.2f} s, each {kept} s")


def _since(began: float) -> float:
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
