"""Which Fly apps are in use, and in which of them the towns are from before it was recorded."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.db import connections
from django.db.models import QuerySet

from towns.drift import Lists
from towns.fly_apps import configured
from towns.models import Orphan, Town
from towns.models.orphan import OPEN_STATES
from towns.services import Fly, Services
from towns.services.errors import ServiceError
from towns.words import Status

BATCH = 1000
AT_ONCE = 8
"""Apps that are asked at the same time."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class InUse:
    """Apps to be listed. `unrecorded`: there are towns of which nobody has recorded the app yet."""

    apps: list[str]
    unrecorded: bool


def apps_in_use(only: Sequence[UUID] | None = None) -> InUse:
    """The apps configured, and others that hold a machine or volume of a living town, or an orphan;
    or just those of the towns in `only`. One statement.

    There is always one: where none is configured, the client of the empty name says so.
    """
    holding = _holding().order_by()
    if only is None:
        orphans = Orphan.objects.filter(state__in=OPEN_STATES).order_by()
        recorded = holding.values_list("fly_app").union(orphans.values_list("fly_app"))
    else:
        recorded = holding.filter(pk__in=only).values_list("fly_app").distinct()
    found = {app for (app,) in recorded}
    everywhere = only is None or "" in found or not found
    apps = [*(configured() if everywhere else ()), *sorted(found - {""})]
    return InUse(list(dict.fromkeys(apps)) or [""], "" in found)


def ask_apps(
    services: Services, apps: Sequence[str], ask: Callable[[Fly, str], T]
) -> dict[str, T | ServiceError]:
    """What each app answers, in their order, several at a time: a list may take seconds. An error
    is an answer too: of that app nothing is known."""

    def answer(app: str) -> T | ServiceError:
        try:
            return ask(services.fly.of(app), app)
        except ServiceError as error:
            return error

    def answer_in_thread(app: str) -> T | ServiceError:
        try:
            return answer(app)
        finally:
            connections.close_all()  # the budgets are in the database

    if len(apps) == 1:
        return {apps[0]: answer(apps[0])}
    with ThreadPoolExecutor(min(AT_ONCE, len(apps)), thread_name_prefix="apps") as pool:
        asked = [pool.submit(copy_context().run, answer_in_thread, app) for app in apps]
        return {app: one.result() for app, one in zip(apps, asked, strict=True)}


def record_apps(lists: Lists) -> int:
    """Record the app of each town from before, where its machine or volume is listed; returns how
    many there were. What no list shows stays unknown."""
    recorded, last = 0, UUID(int=0)
    while True:
        rows = _holding().filter(fly_app="", pk__gt=last).order_by("pk")
        part = list(rows.values_list("pk", "machine_id", "volume_id")[:BATCH])
        found = defaultdict[str, list[UUID]](list)
        for town_id, machine_id, volume_id in part:
            thing = lists.machines.get(machine_id) or lists.volumes.get(volume_id)
            if thing is not None and thing.app:
                found[thing.app].append(town_id)
        for app, ids in found.items():
            recorded += Town.objects.filter(pk__in=ids, fly_app="").update(fly_app=app)
        if len(part) < BATCH:
            return recorded
        last = part[-1][0]


def _holding() -> QuerySet[Town]:
    """Living towns that have a machine or a volume, by our rows."""
    return Town.objects.exclude(status=Status.DESTROYED).exclude(machine_id="", volume_id="")
