"""What a host of ours runs, killed as a whole and started again by whatever watches over it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from localcloud.options import ROOT

COMMANDS = ("qcluster", "run_operations")


class Host:
    """A cluster and, beside it, a driver of operations: as the README has it in production."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        self._env = dict(env)
        self._log = log
        self._processes: list[subprocess.Popen[bytes]] = []
        self._back_at: float | None = None
        self.kills = 0

    def start(self) -> None:
        """Start everything, each in a session of its own."""
        self._back_at = None
        with self._log.open("ab") as log:
            self._processes = [
                subprocess.Popen(
                    [sys.executable, "manage.py", command],
                    cwd=ROOT,
                    env=self._env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                for command in COMMANDS
            ]

    def kill(self, *, back_in: float) -> None:
        """`kill -9` of all of it at once; it starts again after so many seconds."""
        self.kills += 1
        self._signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self._back_at = time.monotonic() + back_in

    def watch(self) -> None:
        """Start it again when its time has come."""
        if self._back_at is not None and time.monotonic() >= self._back_at:
            self.start()

    def end(self) -> None:
        """End it for good."""
        self._back_at = None
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and any(one.poll() is None for one in self._processes):
            time.sleep(0.1)
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        for process in self._processes:
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                continue
