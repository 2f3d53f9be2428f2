"""Second looks: a list may be stale, so that single things are asked for before anything is done.

They are bounded by number and time, and end in an app for which Fly does not answer.
"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from towns.services import Fly, Services
from towns.services.errors import NotFound, RateLimited, ServiceError
from towns.services.fly_types import Machine, Volume

LIMIT = 100
TIME = timedelta(seconds=60)
"""A sweep is a task, which has two minutes in all."""
FAILURES = 3
T = TypeVar("T")


class NotSure(Exception):
    """Nothing certain can be said now; the text says why."""


class SecondLook:
    """Asks Fly for single things, for one sweep."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._left = LIMIT
        self._ends = services.clock.now() + TIME
        self._failures = Counter[str]()

    def machine(self, app: str, machine_id: str) -> Machine | None:
        """The machine; None when Fly proves that the app has none. Raises NotSure."""
        found = self._ask(app, lambda fly: fly.get_machine(machine_id))
        return None if found is None or found.state == "destroyed" else found

    def volume(self, app: str, volume_id: str) -> Volume | None:
        """The volume; None when Fly proves that the app has none. Raises NotSure."""
        found = self._ask(app, lambda fly: fly.get_volume(volume_id))
        return None if found is None or found.state == "destroyed" else found

    def _ask(self, app: str, get: Callable[[Fly], T]) -> T | None:
        if self._failures[app] >= FAILURES:
            raise NotSure("Fly does not answer; the next sweep looks again.")
        if self._left <= 0 or self._services.clock.now() > self._ends:
            raise NotSure("This sweep has looked at enough; the next one goes on.")
        self._left -= 1
        try:
            found = get(self._services.fly.of(app))
        except NotFound:
            self._failures[app] = 0
            return None
        except RateLimited as error:
            raise NotSure(str(error)) from error
        except ServiceError as error:
            self._failures[app] += 1
            raise NotSure(str(error)) from error
        self._failures[app] = 0
        return found
