"""Outlives the local cloud by a moment: when that ends, however it ends, no process stays.

`python -m localcloud.reaper DIR RUN` waits for the end of its standard input, whose other end only
the local cloud holds, and then kills what carries the marks of that run.
"""

import subprocess
import sys
from pathlib import Path

from . import processes
from .options import ROOT


def start(directory: Path, run: str) -> subprocess.Popen[bytes]:
    """Start it in a session of its own: Ctrl-C in the terminal must not end it first."""
    return subprocess.Popen(
        [sys.executable, "-m", "localcloud.reaper", str(directory), run],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main(directory: str, run: str) -> None:
    """Wait, then kill."""
    sys.stdin.buffer.read()
    processes.kill_all(processes.marks(Path(directory), run=run))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
