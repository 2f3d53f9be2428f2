"""The Fly apps that hold the towns: those of GASTOWN_FLY_APP_NAME, and which one a town gets.

Fly limits creates and lists per app (fly.md, "Errors"), so that many towns are spread over several.
Which app a town is in is stored with the town: its machine and volume can't move to another one.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Protocol
from uuid import UUID

from django.conf import settings

MOST = 100
"""Apps that a pattern may name: each costs two list calls a sweep."""
SETTING = "GASTOWN_FLY_APP_NAME"
_RANGE = re.compile(r"([^{}]*)\{(\d{1,9})\.\.(\d{1,9})\}([^{}]*)")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@cache
def apps_named(setting: str) -> tuple[str, ...]:
    """The apps that a setting names, in its order; none when it is empty.

    A name without braces and commas is one app, whatever it looks like. `towns-{1..8}` are eight,
    and `towns,towns-{1..8}` nine. Raises ValueError with what to write instead.
    """
    if not any(sign in setting for sign in "{},"):
        return (setting,) if setting else ()
    apps = [app for part in setting.split(",") for app in _expanded(part.strip(), setting)]
    for app in apps:
        if not _NAME.fullmatch(app):
            raise ValueError(
                f"{SETTING} is {setting!r}, and {app!r} is no app's name; write lower-case "
                "letters, digits and inner hyphens, with a range in braces where many are meant."
            )
    if len(set(apps)) < len(apps):
        twice = next(app for app in apps if apps.count(app) > 1)
        raise ValueError(f"{SETTING} is {setting!r}, which names {twice} twice; write it once.")
    if len(apps) > MOST:
        raise ValueError(
            f"{SETTING} is {setting!r}, which names {len(apps)} apps; write at most {MOST}."
        )
    return tuple(apps)


def _expanded(part: str, setting: str) -> Iterator[str]:
    if "{" not in part and "}" not in part:
        yield part
        return
    found = _RANGE.fullmatch(part)
    if found is None:
        raise ValueError(
            f"{SETTING} is {setting!r}; write an app's name, or one with one range in braces, "
            "such as towns-{1..8}."
        )
    before, first, last, after = found.groups()
    least, most = int(first), int(last)
    if str(least) != first or str(most) != last or least > most or most - least >= MOST:
        raise ValueError(
            f"{SETTING} is {setting!r}; write a range that begins with its smaller number, without "
            f"leading zeros, and names at most {MOST} apps, such as towns-{{1..8}}."
        )
    for number in range(least, most + 1):
        yield f"{before}{number}{after}"


def configured() -> tuple[str, ...]:
    """The apps that new towns are spread over; none when the setting is empty or senseless,
    which a system check and the first call to Fly tell."""
    try:
        return apps_named(settings.GASTOWN_FLY_APP_NAME)
    except ValueError:
        return ()


class HasThings(Protocol):
    """A town, as far as its app depends on it."""

    @property
    def pk(self) -> UUID: ...
    @property
    def fly_app(self) -> str: ...
    @property
    def machine_id(self) -> str: ...
    @property
    def volume_id(self) -> str: ...


def app_of(town: HasThings) -> str:
    """The app in which a town's machine and volume are, or are going to be.

    Empty for a town from before apps were recorded. One that has neither goes where new towns go
    once its app isn't among them any more: it may have been a misspelt one.
    """
    apps = configured()
    if town.machine_id or town.volume_id or town.fly_app in apps or not apps:
        return town.fly_app
    return app_for(town.pk)


def presumed(app: str) -> str:
    """A town's app; that of a town from before it was recorded is the first one configured."""
    return app or next(iter(configured()), "")


def app_for(town_id: UUID) -> str:
    """The app of a new town; empty when none is configured.

    By the town's id, which is random: however many are created at once, by whichever host, each app
    gets its share. The app with the fewest towns would get all of them.
    """
    apps = configured()
    return apps[town_id.int % len(apps)] if apps else ""
