"""What this process has counted since it last added its counts to the shared ones.

Counting touches memory alone. A thread adds the counts up every few seconds; a process that is
killed loses what it has counted since. The store is handed in.
"""

import atexit
import json
import logging
import multiprocessing.util
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping

Key = tuple[str, str]
Counts = Mapping[Key, float]
BUCKETS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
"""Upper bounds of a histogram's buckets, in seconds; each counts what is in none before it."""
log = logging.getLogger(__name__)


def labels_text(labels: Mapping[str, str]) -> str:
    """Labels as one text, the same for the same labels."""
    return json.dumps(dict(sorted(labels.items())))


class Tally:
    """Thread-safe counts. `store` is called with them every `period` seconds; 0 means never."""

    def __init__(self, store: Callable[[Counts], None], period: Callable[[], float]) -> None:
        self._store = store
        self._period = period
        self._pid = 0
        self.forget()

    def forget(self) -> None:
        """Begin anew. For a forked process: its parent stores what it had counted until then, and a
        lock that a thread of the parent held would be free never more."""
        self._lock = threading.Lock()
        self._counts: defaultdict[Key, float] = defaultdict(float)

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[name, labels_text(labels)] += amount
        self._begin()

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add a length of time to a histogram."""
        bound = next((str(one) for one in BUCKETS if seconds <= one), "+Inf")
        with self._lock:
            self._counts[f"{name}_bucket", labels_text({**labels, "le": bound})] += 1
            self._counts[f"{name}_sum", labels_text(labels)] += max(0.0, seconds)
        self._begin()

    def flush(self) -> None:
        """Add the counts to the shared ones; when that fails they are kept for the next time."""
        with self._lock:
            counts, self._counts = self._counts, defaultdict(float)
        if not counts:
            return
        try:
            self._store(counts)
        except Exception:
            log.warning("metrics could not be stored; they are kept", exc_info=True)
            with self._lock:
                for key, amount in counts.items():
                    self._counts[key] += amount

    def _begin(self) -> None:
        """Have a thread flush, once a process: a forked one has none."""
        if self._pid == os.getpid() or not (period := self._period()):
            return
        self._pid = os.getpid()
        atexit.register(self.flush)
        # Processes that multiprocessing made, as a cluster's workers, run no atexit.
        multiprocessing.util.Finalize(None, self.flush, exitpriority=10)
        threading.Thread(target=self._go_on, args=(period,), daemon=True, name="metrics").start()

    def _go_on(self, period: float) -> None:
        never = threading.Event()
        while not never.wait(period):
            self.flush()
