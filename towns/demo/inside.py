"""The demo's own part inside Django: an administrator, five towns, the quick sweeps, the news."""

import os
import time
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from django_q.tasks import async_task

from towns import actions, interactions
from towns.history import Actor
from towns.models import LifecycleEvent, Town
from towns.sweeps.slots import slot_of
from towns.words import InteractionKind

OWNER = "alice"
TOWNS = ("harbour", "lighthouse", "mill", "orchard", "quarry")
ADMIN = "admin"


def make_people() -> str:
    """The administrator and the towns' owner; returns their password."""
    password = os.environ["GASTOWN_DEMO_PASSWORD"]
    admin, _ = User.objects.get_or_create(
        username=ADMIN, defaults={"is_staff": True, "is_superuser": True}
    )
    if not admin.check_password(password):
        admin.set_password(password)
        admin.save()
    owner, _ = User.objects.get_or_create(username=OWNER, email="alice@example.com")
    if not owner.check_password(password):
        owner.set_password(password)
        owner.save()
    return password


def make_towns() -> int:
    """Five towns, once; returns how many were made.

    At a later start their owner comes to see them: what slept for being idle meanwhile wakes.
    """
    owner = User.objects.get(username=OWNER)
    if Town.objects.exists():
        for town in Town.objects.filter(owner=owner):
            interactions.visit(
                town,
                actor=Actor.person(owner),
                kind=InteractionKind.VISIT,
                now=timezone.now(),
            )
        return 0
    for name in TOWNS:
        actions.create_town(
            owner,
            name,
            actor=Actor.shell(),
            now=timezone.now(),
            region=settings.GASTOWN_FLY_REGION,
            reason="the demo's",
        )
    return len(TOWNS)


def welcome(password: str, made: int) -> str:
    """What a new user is told."""
    web = settings.GASTOWN_CONTROL_PLANE_URL
    fleet = f"{made} new towns are on their way." if made else "The fleet is picked up again."
    port = settings.GASTOWN_FLY_API_URL.rsplit(":", 1)[1].split("/")[0]
    ctl = f".venv/bin/python -m localcloud ctl --port {port}"
    period = settings.GASTOWN_HEALTH_PERIOD_SECONDS
    return f"""
  Gastown Ops runs. {fleet}

    Admin      {web}/admin/
               sign in as {ADMIN} with the password {password}
    Dashboard  {web}/dashboard/
               its owner is {OWNER}, with the same password
    JSON       {web}/api/v1/towns  (signed in)

  Every {period} s a sweep asks each town how it is. Break something, in another terminal:

    {ctl} status
    {ctl} hang {TOWNS[0]}
    {ctl} mend {TOWNS[0]}
    {ctl} lose-volume {TOWNS[2]}

  A town that hangs is restarted after three failed checks; one whose volume is lost is rebuilt
  from its backup. Stop, destroy and restore towns in the admin. What happens is told below.
  Ctrl-C ends it all; `make demo` picks it up again.
"""


def beat(last: datetime | None) -> datetime:
    """Enqueue the sweeps of a new slot: django-q2's own schedules are never finer than a
    minute."""
    slot = slot_of(timezone.now(), settings.GASTOWN_HEALTH_PERIOD_SECONDS)
    if slot != last:
        for task in ("sweep_health", "sweep_idle", "drive", "deliver_alerts"):
            slotted = {"slot": slot.isoformat()} if task.startswith("sweep") else {}
            async_task(f"towns.tasks.{task}", **slotted)
    return slot


class News:
    """Tells each new line of history once."""

    def __init__(self) -> None:
        newest = LifecycleEvent.objects.order_by("-id").first()
        self._told = newest.pk if newest else 0

    def tell(self) -> None:
        """Print what is new."""
        for event in LifecycleEvent.objects.filter(pk__gt=self._told).order_by("id"):
            self._told = event.pk
            status = f" → {event.to_status}" if event.to_status else ""
            kind = event.kind.replace("_", " ")
            reason = f"  {event.reason}" if event.reason else ""
            print(f"  {event.at:%H:%M:%S}  {event.town!s:18} {kind}{status}{reason}", flush=True)


def run() -> None:
    """Until it is told to end."""
    password = make_people()
    made = make_towns()
    print(welcome(password, made), flush=True)
    news, slot = News(), None
    while True:
        slot = beat(slot)
        news.tell()
        time.sleep(0.5)
