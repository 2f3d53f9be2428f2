"""How many sockets there is room for."""

import resource
from typing import Any

import pytest

from towns.services.open_files import RESERVE, room_for

INFINITE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "room", "raised"),
    [
        (20_000, 20_000, 1000, None),
        (INFINITE, INFINITE, 1000, None),
        (1024, 20_000, 1000, 1000 + RESERVE),
        (1024, INFINITE, 1000, 1000 + RESERVE),
        (1024, 1024, 1024 - RESERVE, 1024),
        (256, 1100, 1100 - RESERVE, 1100),
        (64, 64, 1, 64),
    ],
)
def test_the_limit_is_raised_as_far_as_it_may(
    soft: int, hard: int, room: int, raised: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: told.append(limits))
    assert room_for(1000) == room
    assert told == ([] if raised is None else [(raised, hard)])


def test_it_says_so_when_there_is_too_little(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    room_for(1000)
    assert caplog.messages == [
        "this process may open 1024 files: 824 sandboxes are asked at a time, not 1000 (ulimit -n)"
    ]
