"""What the tests of commands share: calling one as the shell does."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import OutputWrapper
from django.utils import timezone

from tests.world import World
from towns.flows.waiting import wait_for
from towns.management import base
from towns.management.base import OpsCommand


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, which must be one JSON document."""
        return json.loads(self.out)


class Terminal(io.StringIO):
    """A stderr that somebody looks at."""

    def isatty(self) -> bool:
        return True


Call = Callable[..., Ended]


@pytest.fixture
def world() -> World:
    """A simulated outside."""
    return World()


@pytest.fixture
def call(world: World, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command with the simulated outside."""

    # The test's own transaction would end with its connection.
    monkeypatch.setattr(base, "connections", SimpleNamespace(close_all=lambda: None))
    monkeypatch.setattr(timezone, "now", lambda: world.now)
    waiting = partial(wait_for, pause=world.advance)
    monkeypatch.setattr("towns.management.commands.town.wait_for", waiting)

    def run(*words: str, terminal: bool = False) -> Ended:
        command = load_command_class(get_commands()[words[0]], words[0])
        assert isinstance(command, OpsCommand)
        out, err = io.StringIO(), Terminal() if terminal else io.StringIO()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        command.stdout, command.stderr = OutputWrapper(out), OutputWrapper(err)
        module = sys.modules[type(command).__module__]
        if hasattr(module, "default_services"):
            monkeypatch.setattr(module, "default_services", lambda: world.services)
        try:
            command.run_from_argv(["manage.py", *words])
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        return Ended(code, out.getvalue(), err.getvalue())

    return run
