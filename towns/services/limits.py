"""Our side of Fly's rate limits (fly.md, "Errors"): who asks too often never gets to Fly."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from .errors import RateLimited


class RateLimiter(Protocol):
    """Something that allows or refuses one call."""

    def take(self, action: str, key: str) -> None:
        """Count one call of `action` on `key` (a machine or the app). Raises RateLimited."""

    def hold(self, action: str, key: str, seconds: float) -> None:
        """Allow no such call for so many seconds: Fly has refused one."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`per_second` calls in the long run, and at most `burst` at once."""

    per_second: float
    burst: int

    @property
    def interval(self) -> float:
        """Seconds in which one token comes."""
        return 1 / self.per_second

    @property
    def slack(self) -> float:
        """Seconds that a bucket may be from full and still give a token."""
        return (self.burst - 1) * self.interval

    def refusal(self, action: str, key: str, seconds: float) -> RateLimited:
        """What is raised when the next token comes in so many seconds."""
        return RateLimited(
            f"{action} of {key} was not sent: we ask Fly at most {self.per_second:g} times a "
            "second.",
            retry_after=seconds,
        )


LONGEST_WAIT = 300.0
"""Seconds: no Retry-After is believed to be longer."""
DEFAULT_LIMIT = Limit(per_second=1, burst=3)
FLY_LIMITS: Mapping[str, Limit] = MappingProxyType({"get_machine": Limit(per_second=5, burst=10)})


def limit_of(action: str, limits: Mapping[str, Limit] = FLY_LIMITS) -> Limit:
    """The limit of an action."""
    return limits.get(action, DEFAULT_LIMIT)


@dataclass(slots=True)
class TokenBuckets:
    """Token buckets of one process, as the generic cell rate algorithm: one number a bucket.

    The number is the time at which the bucket will be full again. Thread-safe; it never sleeps.
    `clock` is monotonic, in seconds.
    """

    clock: Callable[[], float] = time.monotonic
    limits: Mapping[str, Limit] = field(default_factory=lambda: FLY_LIMITS)
    _full_at: dict[tuple[str, str], float] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _sweep_above: int = 1024

    def take(self, action: str, key: str) -> None:
        """Take one token. Raises RateLimited with the seconds until the next one is there."""
        limit = limit_of(action, self.limits)
        with self._lock:
            now = self.clock()
            full_at = max(self._full_at.get((action, key), now), now)
            too_early = full_at - now - limit.slack
            if too_early > 1e-9:
                raise limit.refusal(action, key, too_early)
            self._full_at[action, key] = full_at + limit.interval
            if len(self._full_at) > self._sweep_above:
                self._forget_full(now)

    def hold(self, action: str, key: str, seconds: float) -> None:
        """Give no token for so many seconds: somebody who knows more has refused one."""
        limit = limit_of(action, self.limits)
        with self._lock:
            full_at = self.clock() + seconds + limit.slack
            self._full_at[action, key] = max(full_at, self._full_at.get((action, key), 0.0))

    def _forget_full(self, now: float) -> None:
        """A full bucket is as good as none; without this, ids of gone machines pile up."""
        self._full_at = {key: at for key, at in self._full_at.items() if at > now}
        self._sweep_above = max(1024, 2 * len(self._full_at))
