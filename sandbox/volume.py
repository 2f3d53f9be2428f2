"""What lies on the town's volume, and how a restored town gets there: whole or not at all.

A restore unpacks into `.sandbox/restore/town`, and only when everything is checked and unpacked
is `staged.json` written. Moving in is one rename per entry, `mayor/` last, and can be taken up
again after a kill at any point; `staged.json` goes when the move is complete. So a town is whole
exactly if it has `mayor/town.json` and nothing is staged.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from .settings import WORK_DIR

_NOT_OURS = frozenset({WORK_DIR, "lost+found"})


class VolumeState(StrEnum):
    """What the start-up finds."""

    EMPTY = "empty"
    STAGED = "staged"
    INSTALLING = "installing"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Staged:
    """What staged.json says: the snapshot, and which ones were passed over, if any."""

    snapshot: str
    error: str | None


class Volume:
    """The volume of one town, mounted at GT_HOME. Methods raise OSError."""

    def __init__(self, town: Path) -> None:
        self.town = town
        self._work = town / WORK_DIR
        self._restore = self._work / "restore"
        self._staged = self._restore / "staged.json"
        self._moving = self._restore / "moving"
        self._installing = self._work / "installing"

    @property
    def staging(self) -> Path:
        """Where a restore builds the town."""
        return self._restore / "town"

    @property
    def downloads(self) -> Path:
        """Where a restore keeps the files that it downloads."""
        return self._restore / "files"

    def state(self) -> VolumeState:
        """Look at the volume. Kills at any moment leave one of these four."""
        if self._staged.exists():
            return VolumeState.STAGED
        if self._installing.exists():
            return VolumeState.INSTALLING
        if (self.town / "mayor" / "town.json").is_file():
            return VolumeState.WHOLE
        return VolumeState.EMPTY

    def clear_staging(self) -> None:
        """Throw away what an interrupted or failed attempt left, and make room for the next."""
        shutil.rmtree(self._restore, ignore_errors=True)
        self.staging.mkdir(parents=True)
        self.downloads.mkdir()

    def drop_staging(self) -> None:
        """Throw away what is staged; `staged.json` first, as the rest is nothing without it."""
        self._staged.unlink(missing_ok=True)
        shutil.rmtree(self._restore, ignore_errors=True)

    def mark_staged(self, staged: Staged) -> None:
        """Declare the staged town whole. From now on it will be moved in, kill or not."""
        shutil.rmtree(self.downloads)
        os.sync()  # after a power cut the marker must not be there without the files
        _write(self._staged, json.dumps(asdict(staged)))

    def move_in(self) -> Staged:
        """Move the staged town to its place, or finish doing so. Returns what was staged.

        What is there without being a town (somebody deleted mayor/town.json) is set aside under
        `.sandbox/set-aside/`, not overwritten.
        """
        staged = Staged(**json.loads(self._staged.read_text()))
        if not self._moving.exists():
            self._set_aside(staged.snapshot)
            _write(self._moving, "")
        entries = sorted(self.staging.iterdir(), key=lambda entry: entry.name == "mayor")
        for entry in entries:
            entry.rename(self.town / entry.name)
        self.drop_staging()
        return staged

    def _set_aside(self, snapshot: str) -> None:
        found = [entry for entry in self.town.iterdir() if entry.name not in _NOT_OURS]
        if not found:
            return
        aside = self._work / "set-aside" / snapshot
        aside.mkdir(parents=True, exist_ok=True)
        for entry in found:
            entry.rename(aside / entry.name)

    def begin_install(self) -> None:
        """Mark the town as being made, so that a kill doesn't leave half of one for a whole."""
        _write(self._installing, "")

    def end_install(self) -> None:
        """The town is made."""
        self._installing.unlink()


def _write(path: Path, text: str) -> None:
    """Write a marker so that it is there as a whole or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
