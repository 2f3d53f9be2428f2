"""Runs programs: bounded in time, their output kept for the error text, no secret passed on."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import CommandError

_WITHHELD = ("INTERNAL_API_KEY", "R2_")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The agent's environment without its keys: agents in the town must not reach the backups."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_WITHHELD)}
    return {**kept, **(extra or {})}


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    timeout: float,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end and return what it printed (both streams).

    `timeout` in seconds. Raises CommandError if it is not installed, fails, or takes too long.
    """
    name = " ".join(str(part) for part in command[:2])
    # A file, not a pipe: `gt up` leaves a daemon behind that would keep a pipe open for ever.
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                env=environment() if env is None else env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandError(f"{name} did not end within {timeout:g} s") from None
        except OSError as error:
            raise CommandError(f"{name} can't be run: {error.strerror}") from error
        output.seek(0)
        text = output.read().decode(errors="replace").strip()
    if done.returncode != 0:
        last_line = text.splitlines()[-1] if text else "no output"
        raise CommandError(f"{name} failed with exit code {done.returncode}: {last_line[:300]}")
    return text
