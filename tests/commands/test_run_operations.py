"""`manage.py run_operations`."""

import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.commands.conftest import Call
from tests.world import World
from towns.management.commands import run_operations
from towns.models import Operation, Town


@pytest.mark.django_db(transaction=True)
def test_it_works(call: Call, world: World) -> None:
    town = world.create_town()
    operation = Operation.objects.get(town=town)
    ended = call("run_operations", "--until-idle", "0")
    operation.refresh_from_db()
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "Worked 1 times on operations.\n"
    assert operation.log, "no step was done"


@pytest.mark.django_db
def test_it_returns_when_nothing_is_due(call: Call) -> None:
    assert call("run_operations", "--until-idle", "0", "--json").json == {"worked_on": 0}
    assert not Town.objects.exists()


@pytest.mark.parametrize(
    ("words", "seconds"),
    [([], None), (["--until-idle"], 5.0), (["--until-idle", "1.5"], 1.5)],
)
def test_how_long_it_waits(
    call: Call, monkeypatch: pytest.MonkeyPatch, words: list[str], seconds: float | None
) -> None:
    given: list[float | None] = []

    def drive(_: object, *, until_idle: float | None, stop: object) -> int:
        given.append(until_idle)
        return 0

    monkeypatch.setattr(run_operations, "drive", drive)
    assert call("run_operations", *words).code == 0
    assert given == [seconds]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_steps_under_way(
    call: Call, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    before = signal.getsignal(number)

    def drive(_: object, *, stop: Callable[[], bool], **__: Any) -> int:
        assert not stop()
        signal.raise_signal(number)
        assert stop()
        assert signal.getsignal(number) == before, "a second signal would be lost"
        return 3

    monkeypatch.setattr(run_operations, "drive", drive)
    ended = call("run_operations", "--json")
    assert (ended.code, ended.json) == (0, {"worked_on": 3})
    assert signal.getsignal(number) == before
