"""`make demo-check`: the demo proves itself: five towns run, two are broken, both heal alone."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.db import connection

from towns.demo import inside
from towns.models import LifecycleEvent, Town
from towns.services import default_services
from towns.services.errors import ServiceError
from towns.services.r2 import live_prefix
from towns.words import Status

T = TypeVar("T")
PATIENCE_SECONDS = 180.0


class CheckFailed(Exception):
    """The demo did not do what it should."""


def run() -> int:
    """Check the demo; returns the exit code."""
    inside.make_people()
    inside.make_towns()
    watch = Watch()
    try:
        _check(watch)
    except CheckFailed as error:
        print(f"demo-check FAILED: {error}", flush=True)
        return 1
    print(f"demo-check passed in {watch.seconds:.0f} s", flush=True)
    return 0


class Watch:
    """Keeps the demo going while something is waited for."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._news = inside.News()
        self._slot = inside.beat(None)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._begun

    def until(self, what: str, look: Callable[[], T | None]) -> T:
        """Wait until there is something true, and say how long it took; or CheckFailed."""
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE_SECONDS:
            self._slot = inside.beat(self._slot)
            self._news.tell()
            if found := look():
                print(f"* {what}: after {time.monotonic() - begun:.0f} s", flush=True)
                return found
            connection.close()
            time.sleep(0.3)
        raise CheckFailed(f"not within {PATIENCE_SECONDS:.0f} s: {what}")


def _check(watch: Watch) -> None:
    five = len(inside.TOWNS)
    watch.until(
        f"{five} towns run", lambda: Town.objects.filter(status=Status.RUNNING).count() == five
    )
    killed, lost = Town.objects.order_by("name")[:2]
    for town in (killed, lost):
        _write(town, f"the work of {town.name}")
    written = {town.pk: _pointer(town) for town in (killed, lost)}
    watch.until(
        "both towns have backed their work up",
        lambda: all(_pointer(town) > written[town.pk] for town in (killed, lost)),
    )
    since = _newest_event()
    _ctl("kill", killed.machine_id)
    _ctl("lose-volume", lost.volume_id)
    print(f"* killed the machine of {killed}, lost the volume of {lost}", flush=True)
    watch.until(
        f"{lost} was rebuilt from its backup", lambda: _has_event(lost, "recover_done", since)
    )
    watch.until(
        "both run with their work",
        lambda: all(_runs_with(town, f"the work of {town.name}") for town in (killed, lost)),
    )
    again = Town.objects.get(pk=lost.pk)
    if {again.machine_id, again.volume_id} & {lost.machine_id, lost.volume_id}:
        raise CheckFailed(f"{lost} has its old machine or volume")
    watch.until(
        f"{five} towns run", lambda: Town.objects.filter(status=Status.RUNNING).count() == five
    )


def _runs_with(town: Town, text: str) -> bool:
    town = Town.objects.get(pk=town.pk)
    if town.status != Status.RUNNING:
        return False
    done = _try_ctl("exec", town.machine_id, "--", "gt", "standin", "read", "notes")
    return done.returncode == 0 and text in done.stdout


def _write(town: Town, text: str) -> None:
    _ctl("exec", town.machine_id, "--", "gt", "standin", "write", "notes", text)


def _pointer(town: Town) -> str:
    try:
        pointer = default_services().r2.read_pointer(live_prefix(str(town.pk)))
    except ServiceError:
        return ""
    return pointer.timestamp if pointer else ""


def _newest_event() -> int:
    newest = LifecycleEvent.objects.order_by("-id").first()
    return newest.pk if newest else 0


def _has_event(town: Town, kind: str, since: int) -> bool:
    return LifecycleEvent.objects.filter(town=town, kind=kind, pk__gt=since).exists()


def _ctl(*arguments: str) -> None:
    done = _try_ctl(*arguments)
    if done.returncode:
        raise CheckFailed(f"ctl {' '.join(arguments)}: {done.stderr.strip()}")


def _try_ctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    port = settings.GASTOWN_FLY_API_URL.rsplit(":", 1)[1].split("/")[0]
    return subprocess.run(
        [sys.executable, "-m", "localcloud", "ctl", "--port", port, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
