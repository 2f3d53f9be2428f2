"""What the local cloud remembers: one lock, one file.

Every read and change of a machine or volume happens inside `reading` or `changing`, which are
short: nobody waits for a process, a network or a pause in them. Leaving `changing` saves the file
and wakes those who wait for a state.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .errors import not_found
from .records import Lease, Machine, Volume


class State:
    """All machines and volumes. Raises ValueError if its file can't be understood."""

    def __init__(self, directory: Path, first_app: str) -> None:
        self.directory = directory
        self.machines: dict[str, Machine] = {}
        self.volumes: dict[str, Volume] = {}
        self._file = directory / "state.json"
        self._lock = threading.Condition(threading.RLock())
        self._load()
        for machine in self.machines.values():
            machine.app = machine.app or first_app
        for volume in self.volumes.values():
            volume.app = volume.app or first_app

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Look at records."""
        with self._lock:
            yield

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change records. They are saved also when the body raises."""
        with self._lock:
            try:
                yield
            finally:
                self._save()
                self._lock.notify_all()

    def wait_until(self, reached: Callable[[], bool], timeout: float) -> bool:
        """Wait (holding nothing) until records make `reached` true, asked under the lock."""
        with self._lock:
            return self._lock.wait_for(reached, timeout)

    def machine(self, machine_id: str) -> Machine:
        """Raises a 404."""
        found = self.machines.get(machine_id)
        if found is None:
            raise not_found("machine")
        return found

    def volume(self, volume_id: str) -> Volume:
        """Raises a 404."""
        found = self.volumes.get(volume_id)
        if found is None:
            raise not_found("volume")
        return found

    def volume_dir(self, volume_id: str) -> Path:
        """The volume's root. The last part is `data` as on Fly, where it is mounted on /data:
        gt names its tmux socket after it."""
        return self.directory / "volumes" / volume_id / "data"

    def snapshot_dir(self, snapshot_id: str) -> Path:
        """Where the copy of a volume is."""
        return self.directory / "snapshots" / snapshot_id

    def machine_dir(self, machine_id: str) -> Path:
        """The machine's log, and its root file system, which is lost at each start."""
        return self.directory / "machines" / machine_id

    def _load(self) -> None:
        try:
            document = json.loads(self._file.read_text())
        except FileNotFoundError:
            return
        try:
            for fields in document["machines"]:
                lease = fields.pop("lease")
                machine = Machine(**fields, lease=Lease(**lease) if lease else None)
                self.machines[machine.id] = machine
            for fields in document["volumes"]:
                self.volumes[fields["id"]] = Volume(**fields)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self._file} is not of this version: {error}") from error

    def _save(self) -> None:
        document: dict[str, Any] = {
            "machines": [asdict(machine) for machine in self.machines.values()],
            "volumes": [asdict(volume) for volume in self.volumes.values()],
        }
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps(document, indent=1))
        os.replace(draft, self._file)
