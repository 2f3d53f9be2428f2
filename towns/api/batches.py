"""Tokens taken ahead: a busy caller costs the database a write per batch of calls, not per call.

Each process takes a batch from the bucket that all share and spends it in memory. What it has in
hand was taken within the limit and may be spent some seconds later, or never: so over any time the
calls of a caller differ from the true limit by at most a batch for each process.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from towns.budgets import SharedBuckets
from towns.services.errors import RateLimited
from towns.services.limits import Limit, limit_of

KEPT_SECONDS = 5.0
"""Tokens that were not spent for so long are lost: else many processes would hoard them."""
PART_OF_BURST = 10
"""A batch is at most a tenth of the burst."""


def largest_batch(limit: Limit) -> int:
    """How many tokens a process takes at once at most, and so has in hand."""
    return max(1, min(limit.burst // PART_OF_BURST, int(limit.per_second * KEPT_SECONDS)))


@dataclass(frozen=True, slots=True)
class _Batch:
    """Tokens in hand until a time; `size` were taken last, which left so many for all."""

    until: float
    size: int = 0
    kept: int = 0
    left: int = 0


@dataclass(slots=True)
class Batches:
    """The buckets of all processes, asked for several tokens at a time. Thread-safe; `clock` is
    monotonic, in seconds."""

    shared: SharedBuckets
    clock: Callable[[], float] = time.monotonic
    _batches: dict[tuple[str, str], _Batch] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _sweep_above: int = 1024

    def take(self, action: str, key: str) -> int | None:
        """Take one token; returns how many are left, as of the last look at the shared bucket, and
        None if nobody could look. Raises RateLimited with the seconds until the next."""
        self.shared.own.take(action, key)
        limit = limit_of(action, self.shared.own.limits)
        with self._lock:
            batch = self._in_hand(action, key)
            if batch.kept:
                batch = replace(batch, kept=batch.kept - 1)
                self._batches[action, key] = batch
                return batch.left + batch.kept
            # Whoever asks at the same time asks for one: a batch each would be more than a batch.
            self._batches[action, key] = replace(batch, size=0)
        got, left = self._ask(action, key, _next_size(batch, largest_batch(limit)))
        if left is None:
            return None
        with self._lock:
            kept = self._in_hand(action, key).kept + got - 1
            kept = min(kept, largest_batch(limit))
            until = self.clock() + KEPT_SECONDS
            self._batches[action, key] = _Batch(until, got, kept, left)
            if len(self._batches) > self._sweep_above:
                self._forget_old()
            return left + kept

    def _in_hand(self, action: str, key: str) -> _Batch:
        now = self.clock()
        batch = self._batches.get((action, key))
        return _Batch(now + KEPT_SECONDS) if batch is None or batch.until <= now else batch

    def _ask(self, action: str, key: str, many: int) -> tuple[int, int | None]:
        """So many tokens, or one if they aren't there; and what is left."""
        if many > 1:
            try:
                return many, self.shared.ask(action, key, many)
            except RateLimited:
                pass
        return 1, self.shared.ask(action, key)

    def _forget_old(self) -> None:
        now = self.clock()
        self._batches = {key: one for key, one in self._batches.items() if one.until > now}
        self._sweep_above = max(1024, 2 * len(self._batches))


def _next_size(batch: _Batch, most: int) -> int:
    """Twice as many as last time, so that who rarely calls takes none in vain; and no more than
    half of what is left, so that others find some too."""
    return max(1, min(2 * batch.size, batch.left // 2, most))
