"""The start-up, in the order of sandbox.md: look at the volume; restore, or make a new town, or
take what is there; `gt up`.

Whatever fails is tried again for as long as the machine runs, and reported meanwhile; only a
backup of which no snapshot is sound waits for people.

A drill (DRILL=1) only restores, and starts Dolt to see that it opens the data: agents of a second
town with the same tokens would push, mail and pay for what the first one does.
"""

import itertools
import logging
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace

from .errors import CommandError, Corrupt, Missing, SettingsError, Stopped, Unavailable
from .gt import Gt
from .restore import find_candidates, restore
from .settings import Settings
from .state import AgentState, DrillReport, RestoreReport, RestoreState
from .store import Store
from .volume import Volume, VolumeState

logger = logging.getLogger(__name__)

_FIRST_PAUSES = (1.0, 2.0, 4.0, 8.0)
_LATER_PAUSE = 30.0


class StartUp:
    """Brings one town up. `stop` ends it at the next safe point with Stopped."""

    def __init__(
        self,
        settings: Settings,
        store: Store | None,
        gt: Gt,
        state: AgentState,
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._store = store
        self._gt = gt
        self._state = state
        self._stop = stop
        self._volume = Volume(settings.gt_home)

    def run(self) -> None:
        """Return when the volume holds a whole town and `gt up` was run; in a drill, once Dolt was
        started. Raises Stopped."""
        self._settings.gt_home.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._settings.scratch, ignore_errors=True)
        self._state.version = self._settings.gt_version or self._gt.version()
        found = self._volume.state()
        logger.info("the volume is %s", found)
        if found in (VolumeState.EMPTY, VolumeState.STAGED):
            found = self._restore()
        if found in (VolumeState.EMPTY, VolumeState.INSTALLING) and not self._settings.drill:
            self._install()
        self._volume.drop_staging()
        self._state.town_ready = True
        self._check_stop()
        if self._settings.drill:
            self._start_dolt()
        else:
            self._gt_up()

    def _restore(self) -> VolumeState:
        """Restore until it is done; returns WHOLE, or EMPTY if the town is new."""
        self._state.restore = RestoreReport(RestoreState.RUNNING)
        for pause in _pauses():
            try:
                return self._try_restore()
            except (Corrupt, SettingsError) as error:
                self._restore_failed(error)
                self._stop.wait()
            except (Unavailable, Missing, CommandError, OSError) as error:
                logger.warning("the restore did not succeed, trying again: %s", error)
                if pause == _LATER_PAUSE:
                    self._restore_failed(error)
            self._stop.wait(pause)
            self._check_stop()
        raise AssertionError("the pauses never end")

    def _try_restore(self) -> VolumeState:
        if self._volume.state() is VolumeState.STAGED:
            staged = self._volume.move_in()
        else:
            if self._store is None:
                # Without R2 nobody knows whether this town is new or lost.
                raise SettingsError(self._settings.r2_problem or "R2 is not configured")
            self._state.drill = DrillReport()
            candidates = find_candidates(self._store)
            if candidates is None and self._settings.drill:
                raise Missing("R2 holds no backup of this town")
            if candidates is None:
                self._state.restore = RestoreReport()
                return VolumeState.EMPTY
            staged = restore(
                self._store, self._volume, candidates, self._stop.is_set, self._found_corrupt
            )
        logger.info("restored snapshot %s", staged.snapshot)
        self._state.restore = RestoreReport(RestoreState.DONE, staged.snapshot, staged.error)
        return VolumeState.WHOLE

    def _found_corrupt(self, name: str) -> None:
        self._state.drill = DrillReport((*self._state.drill.corrupt, name))

    def _restore_failed(self, error: Exception) -> None:
        logger.error("the restore failed: %s", error)
        self._state.restore = RestoreReport(RestoreState.FAILED, None, str(error))

    def _install(self) -> None:
        """Make a new town, or finish one whose making was interrupted; until it succeeds."""
        for pause in _pauses():
            self._check_stop()
            try:
                self._try_install()
                return
            except (CommandError, OSError) as error:
                logger.error("the new town could not be made: %s", error)
                problem = f"no town yet: {error}"
                self._state.backup = replace(self._state.backup, last_error=problem)
            self._stop.wait(pause)

    def _try_install(self) -> None:
        town_file = self._settings.gt_home / "mayor" / "town.json"
        again = town_file.exists()
        self._volume.begin_install()
        self._state.gt_used = True
        self._gt.install(again=again)
        if not town_file.is_file():
            raise CommandError("gt install made no mayor/town.json")
        self._volume.end_install()
        self._state.backup = replace(self._state.backup, last_error=None)

    def _gt_up(self) -> None:
        self._state.gt_used = True
        try:
            self._gt.up()
        except CommandError as error:
            # /health tells that the daemon doesn't run; the data is backed up all the same.
            logger.error("gt up failed: %s", error)

    def _start_dolt(self) -> None:
        self._state.gt_used = True
        try:
            self._gt.start_dolt()
        except CommandError as error:
            # /health tells that Dolt doesn't run: whoever holds the drill judges that.
            logger.error("Dolt did not start: %s", error)

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped("SIGTERM during the start-up")


def _pauses() -> Iterator[float]:
    """Seconds between attempts, without end."""
    return itertools.chain(_FIRST_PAUSES, itertools.repeat(_LATER_PAUSE))
