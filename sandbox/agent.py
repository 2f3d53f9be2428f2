"""The agent's life: start-up (startup.py), sync loop, and on SIGTERM the drain: `gt down --all`,
a last sync, the end."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from . import clock
from .errors import (
    BackupError,
    CommandError,
    Corrupt,
    Missing,
    Refused,
    Stopped,
    Unavailable,
)
from .gt import Gt
from .heartbeat import send_heartbeat
from .settings import Settings
from .startup import StartUp
from .state import AgentState, BackupReport
from .store import Store
from .sync import Synced, Syncer

logger = logging.getLogger(__name__)


class Agent:
    """One town's agent. `run` is its life; `stop` and `request_sync` are for other threads."""

    def __init__(self, settings: Settings, store: Store | None, gt: Gt) -> None:
        self.settings = settings
        self.state = AgentState(started_at=clock.now())
        self._store = store
        self._gt = gt
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._start_up = StartUp(settings, store, gt, self.state, self._stop)
        self._syncer: Syncer | None = None
        if store is not None and not settings.drill:
            self._syncer = Syncer(store, settings.gt_home, settings.scratch, settings.generation)

    def stop(self) -> None:
        """SIGTERM came: `run` will drain and return."""
        self.state.draining = True
        self._stop.set()
        self._wake.set()

    def request_sync(self) -> None:
        """Have a sync made now. Asked while one is under way, another follows at once."""
        self._wake.set()

    def run(self) -> None:
        """Live until `stop` is called. Returns after the last sync."""
        try:
            self._start_up.run()
            if self.settings.drill:
                self._stop.wait()
            else:
                self._sync_loop()
        except Stopped as error:
            logger.info("%s", error)
        if self.settings.drill:
            self._end_drill()
        else:
            self._drain()

    def _sync_loop(self) -> None:
        self._learn_last_backup()
        while not self._stop.is_set():
            due = time.monotonic() + self.settings.sync_interval
            self._wake.clear()
            # `stop` may have come just before the clear, and its wake-up would be lost.
            if self._stop.is_set():
                break
            self._sync(self._stop.is_set)
            self._wake.wait(max(0.0, due - time.monotonic()))

    def _learn_last_backup(self) -> None:
        """After a restart, /health shows the backup that R2 has, not none."""
        try:
            seen = self._store.pointer() if self._store else None
        except (Unavailable, Corrupt) as error:
            logger.warning("the last backup is not known: %s", error)
            return
        if seen is not None:
            timestamp = seen.pointer.timestamp
            self.state.backup = BackupReport(clock.parse_stamp(timestamp), timestamp)

    def _sync(self, stopping: Callable[[], bool]) -> None:
        """One sync; what goes wrong is reported in /health and left to the next one."""
        if self._syncer is None:
            self._backup_failed(self.settings.r2_problem or "R2 is not configured")
            return
        try:
            synced = self._syncer.sync(stopping, self.state.version)
        except Stopped as error:
            logger.info("%s", error)
        except (Refused, BackupError, CommandError, Unavailable, Missing, Corrupt) as error:
            self._backup_failed(str(error))
        except OSError as error:
            self._backup_failed(f"the town's files can't be read or packed: {error}")
        else:
            self._synced(synced)

    def _synced(self, synced: Synced) -> None:
        if synced.held:
            self._backup_failed(synced.held)
        else:
            logger.info("snapshot %s: %d bytes", synced.snapshot, synced.bytes)
            self.state.backup = BackupReport(synced.created_at, synced.snapshot)
        send_heartbeat(self.settings, synced)

    def _backup_failed(self, error: str) -> None:
        logger.error("no new backup: %s", error)
        self.state.backup = replace(self.state.backup, last_error=error)

    def _end_drill(self) -> None:
        """Nothing is kept of a drill: no last sync, and no agents that would have to be ended."""
        if self.state.gt_used:
            try:
                self._gt.stop_dolt()
            except CommandError as error:
                logger.warning("Dolt was not stopped, it ends with its machine: %s", error)

    def _drain(self) -> None:
        """In this order: a sync before `gt down` would miss the end of the work."""
        if self.state.gt_used:
            try:
                self._gt.down_all()
            except CommandError as error:
                logger.error("gt down --all failed, the last sync goes on: %s", error)
        if self.state.town_ready:
            self._sync(lambda: False)
        else:
            logger.warning("the volume has no whole town: no last sync")
