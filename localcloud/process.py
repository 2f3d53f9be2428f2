"""One running process of a machine, and its log."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import processes
from .options import ROOT

LOG_LIMIT = 1024 * 1024


class Process:
    """Started when made; raises OSError. `on_exit` is called from a thread of its own."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        marked: Mapping[str, str],
        log: Path,
        on_exit: Callable[["Process"], None],
    ) -> None:
        self.exited = threading.Event()
        self._marked = dict(marked)
        self._on_exit = on_exit
        log.parent.mkdir(parents=True, exist_ok=True)
        bound_log(log)
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        threading.Thread(target=self._wait, name=f"wait-{self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The id of the machine's first process."""
        return self._popen.pid

    @property
    def exit_code(self) -> int:
        """As a shell tells it: 128 and the signal's number for one that was killed."""
        code = self._popen.returncode
        return 128 - code if code < 0 else code

    def send(self, number: int) -> None:
        """Signal the first process; nothing happens if it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.send_signal(number)

    def end(self, number: int, timeout: float) -> None:
        """Signal it, wait for its end, kill it after `timeout` seconds."""
        self.send(number)
        if not self.exited.wait(timeout):
            self.kill()
            self.exited.wait()

    def kill(self) -> None:
        """Kill the whole machine at once."""
        self.send(signal.SIGKILL)
        processes.signal_all(self._marked, signal.SIGKILL)

    def signal_all(self, number: int) -> None:
        """Signal the first process and everything it started."""
        processes.signal_all(self._marked, number)

    def _wait(self) -> None:
        """With its first process a machine ends, and whatever else ran in it."""
        self._popen.wait()
        processes.kill_all(self._marked)
        self.exited.set()
        self._on_exit(self)


def bound_log(log: Path) -> None:
    """Keep the end of a log that grew too long as `log.1`, and begin anew.

    The file itself is emptied, not moved: its process has it open, for appending.
    """
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return
    if size <= LOG_LIMIT:
        return
    with log.open("rb") as stream:
        stream.seek(-LOG_LIMIT, os.SEEK_END)
        log.with_suffix(".1").write_bytes(stream.read())
    os.truncate(log, 0)
