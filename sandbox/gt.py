"""The `gt` commands that the sandbox uses. Those that change state run one at a time."""

import re
import threading
from pathlib import Path

from . import commands
from .errors import CommandError

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_VERSION_TIMEOUT = 5.0


class Gt:
    """The `gt` on the PATH, at work in one town. Every command raises CommandError on failure."""

    def __init__(self, town: Path, timeout: float, dolt_port: int = 3307) -> None:
        self._town = town
        self._timeout = timeout
        self._environment = {"GT_DOLT_PORT": str(dolt_port)}
        self._changing = threading.Lock()

    def install(self, *, again: bool = False) -> None:
        """Make a new town. `again` finishes one that was interrupted (keeps town.json)."""
        force = ["--force"] if again else []
        self._change("install", str(self._town), *force)

    def up(self) -> None:
        """Start the daemon, Dolt and the agents."""
        self._change("up")

    def start_dolt(self) -> None:
        """Start the Dolt server alone: no daemon, no agents."""
        self._change("dolt", "start")

    def stop_dolt(self) -> None:
        """Stop the Dolt server."""
        self._change("dolt", "stop")

    def down_all(self) -> None:
        """Stop everything; plain `gt down` would leave the polecats running."""
        self._change("down", "--all")

    def version(self) -> str | None:
        """The installed version (`1.0.1`), or None if `gt` doesn't tell."""
        try:
            text = self._run("version", timeout=_VERSION_TIMEOUT)
        except CommandError:
            return None
        found = _VERSION.search(text)
        return found.group() if found else None

    def _change(self, *arguments: str) -> None:
        with self._changing:
            self._run(*arguments, timeout=self._timeout)

    def _run(self, *arguments: str, timeout: float) -> str:
        env = commands.environment(self._environment)
        return commands.run(["gt", *arguments], cwd=self._town, timeout=timeout, env=env)
