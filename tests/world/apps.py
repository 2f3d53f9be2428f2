"""Towns of a world that are in an app of a test's choice."""

from django.test import override_settings

from towns.models import Town

from .world import World

SETTING = "towns-{1..2}"
FIRST, SECOND = "towns-1", "towns-2"


def several(setting: str = SETTING) -> override_settings:
    """The setting, for a test or a block."""
    return override_settings(GASTOWN_FLY_APP_NAME=setting)


def running_in(world: World, app: str, name: str = "alpha", *, owner: str = "ada") -> Town:
    """A new town that runs, in this app."""
    with several(app):
        return world.running_town(name, owner=owner)


def apps_asked(world: World, since: int = 0) -> set[str | None]:
    """The apps that calls to Fly went to."""
    calls = world.faults.calls[since:]
    return {one.app for one in calls if one.name.startswith("fly.") and one.name != "fly.ping"}
