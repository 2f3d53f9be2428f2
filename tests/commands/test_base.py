"""What all commands share: errors in one line, exit codes, JSON."""

import logging
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

import pytest
from django.core.management.base import CommandError
from django.db import OperationalError
from django.test import override_settings

from tests.commands.conftest import Call
from towns.management import base, commands
from towns.management.base import OpsCommand
from towns.management.commands import setup_schedules

pytestmark = pytest.mark.django_db


def failing(error: BaseException) -> Callable[..., None]:
    """What a command does that fails with this."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_it_works(call: Call) -> None:
    ended = call("setup_schedules", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert isinstance(ended.json, dict)


@pytest.mark.parametrize("words", [["--nope"], ["harbour"]], ids=" ".join)
def test_bad_usage_is_one_line_and_2(call: Call, words: list[str]) -> None:
    ended = call("setup_schedules", *words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"unrecognized arguments: {words[0]}. See `manage.py setup_schedules --help`.\n"
    )


def test_traceback_is_for_who_asks(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_schedules.Command, "handle", failing(RuntimeError("odd")))
    with pytest.raises(RuntimeError, match="odd"):
        call("setup_schedules", "--traceback")


def test_a_reader_who_has_enough_is_no_error(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in `town list | head`."""
    monkeypatch.setattr(setup_schedules.Command, "handle", failing(BrokenPipeError()))
    monkeypatch.setattr(base, "_swallow_output", lambda: None)
    ended = call("setup_schedules")
    assert (ended.code, ended.err) == (1, "")


@pytest.mark.parametrize(("verbosity", "told"), [("1", False), ("2", True)])
def test_what_services_log_is_not_for_people(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    verbosity: str,
    told: bool,
) -> None:
    def handle(*_: object, **__: object) -> None:
        logging.getLogger("towns").info("asked Fly")
        logging.getLogger("towns").warning("Fly is slow")

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(setup_schedules.Command, "handle", handle)
    call("setup_schedules", "-v", verbosity)
    assert ("asked Fly" in caplog.messages) == told
    assert "Fly is slow" in caplog.messages
    assert logging.getLogger("towns").isEnabledFor(logging.INFO)


def test_no_bar_without_a_terminal(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(command: OpsCommand, **_: object) -> None:
        with command.progress(2, "sweep") as bar:
            bar.update(2)

    monkeypatch.setattr(setup_schedules.Command, "handle", handle)
    assert call("setup_schedules").err == ""
    assert call("setup_schedules", "--json", terminal=True).err == ""
    assert "sweep" in call("setup_schedules", terminal=True).err


def test_a_senseless_setting_is_one_clear_line(call: Call) -> None:
    with override_settings(GASTOWN_RESTARTS_AT_ONCE=0):
        ended = call("sweep_health")
    assert ended.code == 1
    assert ended.err == "GASTOWN_RESTARTS_AT_ONCE is 0; write a number from 1 to 100000.\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (OperationalError("could not connect\nmore"), 1, "The database can't be used: could not"),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (RuntimeError("odd"), 1, "RuntimeError: odd (--traceback tells where)"),
        (CommandError("no", returncode=2), 2, "no"),
    ],
)
def test_whatever_happens_is_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    monkeypatch.setattr(setup_schedules.Command, "handle", failing(error))
    ended = call("setup_schedules")
    assert ended.code == code
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith(line)


def test_all_our_commands_are_of_this_kind() -> None:
    for module in iter_modules(commands.__path__):
        if module.name != "demo":
            found = import_module(f"towns.management.commands.{module.name}")
            assert issubclass(found.Command, OpsCommand), module.name
