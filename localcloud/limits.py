"""Fly's rate limits: per action and per machine, or per app for creates and lists."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import ApiError

DEFAULT = (1.0, 3)
LIMITS = {"get_machine": (5.0, 10)}
"""Calls per second, and how many may come at once."""


@dataclass(slots=True)
class RateLimits:
    """`scale` multiplies the calls per second; 0 switches the limits off."""

    scale: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _free_at: dict[tuple[str, str], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, action: str, key: str) -> None:
        """Count one call. Raises a 429 with Retry-After in whole seconds."""
        if self.scale <= 0:
            return
        per_second, burst = LIMITS.get(action, DEFAULT)
        interval = 1 / (per_second * self.scale)
        with self._lock:
            now = self.clock()
            full_at = max(now, self._free_at.get((action, key), now))
            early = full_at + interval - now - burst * interval
            if early > 1e-9:
                wait = str(math.ceil(early))
                raise ApiError(429, "rate limit exceeded", headers={"Retry-After": wait})
            self._free_at[action, key] = full_at + interval
            if len(self._free_at) > 4096:
                self._free_at = {name: at for name, at in self._free_at.items() if at > now}
