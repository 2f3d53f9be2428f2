"""Second looks: a list may be stale, so that single things are asked for before anything is done.

They are bounded by number and time, and end when Fly does not answer.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from towns.services import Services
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
        self._failures = 0

    def machine(self, machine_id: str) -> Machine | None:
        """The machine; None when Fly proves that there is none. Raises NotSure."""
        found = self._ask(self._services.fly.get_machine, machine_id)
        return None if found is None or found.state == "destroyed" else found

    def volume(self, volume_id: str) -> Volume | None:
        """The volume; None when Fly proves that there is none. Raises NotSure."""
        found = self._ask(self._services.fly.get_volume, volume_id)
        return None if found is None or found.state == "destroyed" else found

    def _ask(self, get: Callable[[str], T], thing_id: str) -> T | None:
        if self._failures >= FAILURES:
            raise NotSure("Fly does not answer; the next sweep looks again.")
        if self._left <= 0 or self._services.clock.now() > self._ends:
            raise NotSure("This sweep has looked at enough; the next one goes on.")
        self._left -= 1
        try:
            found = get(thing_id)
        except NotFound:
            self._failures = 0
            return None
        except RateLimited as error:
            raise NotSure(str(error)) from error
        except ServiceError as error:
            self._failures += 1
            raise NotSure(str(error)) from error
        self._failures = 0
        return found
