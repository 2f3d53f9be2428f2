"""The course of a storm: a fleet comes up, everything breaks at once, and it is watched."""

import contextlib
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from django_q.tasks import async_task

from localcloud.client import Ctl, CtlError
from tests.e2e.storm_plan import KILLS_OF_THE_WORKER, LOST_VOLUMES, MESSAGES_TO_STAFF, Plan
from tests.e2e.storm_watch import Watch, done_since, messages, most_restarts_at_once
from tests.e2e.storm_worker import Host
from towns import actions
from towns.history import Actor
from towns.models import LifecycleEvent, Operation, Town
from towns.schedules import planned
from towns.sweeps.slots import slot_of

ACTOR = Actor.shell()
OFTEN = ("sweep_health", "sweep_idle", "sweep_reconcile", "drive", "deliver_alerts")
"""What is scheduled every few minutes in production, and every `period` seconds here."""
COMING_UP = 600.0


class Storm:
    """One run of it. Progress goes to stderr."""

    def __init__(self, plan: Plan, ctl: Ctl, host: Host, mails: Path, *, staff: str) -> None:
        self._plan = plan
        self._ctl = ctl
        self._host = host
        self._mails = mails
        self._staff = staff
        self._watch = Watch(ctl, plan.restarts_at_once)
        self._began = time.monotonic()
        self._slot: datetime | None = None
        self._told = ""

    def run(self) -> dict[str, object]:
        """The figures; `wrong` is empty if all is as it must be."""
        self._make_towns()
        event = LifecycleEvent.objects.order_by("-id").values_list("pk", flat=True)[0]
        shutil.rmtree(self._mails, ignore_errors=True)
        self._began = time.monotonic()
        self._break_everything()
        killed, lost = self._watch.down()
        took = self._until_as_desired()
        figures = {
            "towns": self._plan.towns,
            "killed_machines": killed,
            "lost_volumes": lost,
            "kills_of_the_worker": self._host.kills,
            "fly_down_seconds": self._plan.fly_down,
            "seconds_to_all_as_desired": took,
            "most_restarts_at_once": most_restarts_at_once(),
            **done_since(event),
        }
        to_staff, to_others = messages(self._mails, [self._staff])
        figures |= {
            "messages_to_staff": len(to_staff),
            "messages_to_owners": len(to_others),
            "subjects": to_staff,
        }
        return {**figures, "wrong": self._wrong(figures)}

    def _wrong(self, figures: dict[str, Any]) -> list[str]:
        """Each clause that does not hold."""
        plan = self._plan
        wrong = [*self._watch.wrong, *self._watch.unlike_fly(), *self._without_their_work()]
        if figures["seconds_to_all_as_desired"] is None:
            wrong += self._watch.not_as_desired()
        limits = {
            "most_restarts_at_once": plan.restarts_at_once,
            "most_restarts_of_one_town": settings.GASTOWN_RESTART_LIMIT,
            "messages_to_staff": MESSAGES_TO_STAFF,
        }
        wrong += [f"{key}: {figures[key]}" for key, most in limits.items() if figures[key] > most]
        exact = {
            "killed_machines": plan.killed,
            "lost_volumes": LOST_VOLUMES,
            "recoveries": LOST_VOLUMES,
            "recovery_frozen": False,
            "kills_of_the_worker": KILLS_OF_THE_WORKER,
        }
        wrong += [f"{key}: {figures[key]}" for key, must in exact.items() if figures[key] != must]
        return wrong

    def _make_towns(self) -> None:
        """Towns that run, are found healthy, have their work, and have it backed up where it will
        be needed."""
        owner = User.objects.create(username="alice", email="alice@example.com")
        for number in range(self._plan.towns):
            actions.create_town(
                owner,
                f"town-{number:02}",
                actor=ACTOR,
                now=timezone.now(),
                region=settings.GASTOWN_FLY_REGION,
            )
        self._until(lambda: not self._watch.not_as_desired(), "the fleet comes up", COMING_UP)
        with ThreadPoolExecutor(4) as pool:
            for town in Town.objects.select_related("owner"):
                pool.submit(self._ctl.write, town.machine_id, "notes", f"the work of {town}")
        for town in self._towns()[-LOST_VOLUMES:]:
            actions.request_backup(town.pk, actor=ACTOR, now=timezone.now())
        self._until(lambda: not Operation.objects.filter(state="open").exists(), "backups", 120)

    def _break_everything(self) -> None:
        """Half of the machines are killed just before Fly is down, the rest while it is."""
        towns = self._towns()
        killed, lost = towns[: self._plan.killed], towns[-LOST_VOLUMES:]
        half = len(killed) // 2
        for town in killed[:half]:
            self._ctl.kill(town.machine_id, down=True)
        self._ctl.fly_down(seconds=self._plan.fly_down)
        self._say("Fly is down")
        for town in killed[half:]:
            self._ctl.kill(town.machine_id, down=True)
        for town in lost:
            self._watch.lost.add(town.volume_id)
            self._ctl.lose_volume(town.volume_id)
        expected = (len(killed), len(lost))
        self._until(lambda: self._watch.down() == expected, "machines and volumes are lost", 30)
        self._say(f"{len(killed)} machines are killed, {len(lost)} volumes lost")

    def _until_as_desired(self) -> float | None:
        """Seconds from the first fault until all towns are as desired; None if it took too long."""

        def over() -> bool:
            since = time.monotonic() - self._began
            if self._host.kills == 0 and since > self._plan.fly_down / 2:
                self._kill_the_worker("while Fly is down")
            elif self._host.kills == 1 and since > self._plan.fly_down and _repairs() > 1:
                self._kill_the_worker("in the middle of the repairs")
            calm = since > self._plan.fly_down and self._host.kills == KILLS_OF_THE_WORKER
            return calm and not self._watch.not_as_desired()

        try:
            self._until(over, "all towns are as desired", self._plan.within)
        except TimeoutError as error:
            self._say(str(error))
            return None
        return round(time.monotonic() - self._began, 1)

    def _kill_the_worker(self, when: str) -> None:
        self._say(f"the worker is killed {when}")
        self._host.kill(back_in=self._plan.downtime_of_the_worker)

    def _until(self, look: Callable[[], bool], what: str, seconds: float) -> None:
        """Keep the sweeps and the worker going, and watch; TimeoutError when time is up."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self._host.watch()
            self._beat()
            self._say(self._watch.look())
            if look():
                return
            time.sleep(0.25)
        raise TimeoutError(f"not within {seconds:.0f} s: {what}")

    def _beat(self) -> None:
        """Enqueue what is scheduled, once a slot: django-q2's schedules are never so fine."""
        slot = slot_of(timezone.now(), self._plan.period)
        if slot == self._slot:
            return
        self._slot = slot
        for plan in planned():
            if plan.func.rpartition(".")[2] in OFTEN:
                async_task(plan.func, **({"slot": slot.isoformat()} if plan.slot else {}))

    def _without_their_work(self) -> list[str]:
        def problem(town: Town) -> str | None:
            with contextlib.suppress(CtlError):
                if self._ctl.read(town.machine_id, "notes") == f"the work of {town}":
                    return None
            return f"{town} has lost its work"

        with ThreadPoolExecutor(4) as pool:
            return [found for found in pool.map(problem, self._towns()) if found]

    def _towns(self) -> list[Town]:
        return list(Town.objects.select_related("owner").order_by("name"))

    def _say(self, text: str) -> None:
        if text != self._told:
            self._told = text
            print(f"{time.monotonic() - self._began:6.1f} s  {text}", file=sys.stderr, flush=True)


def _repairs() -> int:
    return Operation.objects.filter(kind="restart", automatic=True, state="open").count()
