"""The tests' side of `doomed_worker`: workers to be killed, and answers from inside Django."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from localcloud.options import ROOT
from tests.e2e.points import Point, Slice

ALL = Slice()
LEASE_SECONDS = 0.15
"""Short, so that the next worker takes over at once. One test keeps the default."""


@dataclass(slots=True)
class Life:
    """What one worker came to. `died_at` is where it was killed, None if it lived to the end."""

    points: list[Point] = field(default_factory=list)
    died_at: Point | None = None


class Workers:
    """Each method runs in a process of its own, forked from one that has imported Django."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def ask(self, what: str, **given: Any) -> Any:
        """Call a function of `inside`."""
        with self._connected({"do": what, "with": given}) as (_, lines):
            for line in lines:
                if "answer" in line:
                    return line["answer"]
                if "error" in line:
                    raise AssertionError(f"{what}: {line['error']}")
        raise AssertionError(f"{what}: no answer")

    def drive(
        self, town: str, *, spared: Sequence[Point] | None = None, chosen: Slice = ALL
    ) -> Life:
        """Have a worker drive the town's operations; without `spared` it is not killed.

        With it, it is killed at the first point of those chosen that is not among them.
        """
        known = None if spared is None else [point.as_json() for point in spared]
        with self._connected(_order(town, spared=known, chosen=chosen)) as (_, lines):
            return self._life(town, lines)

    @contextmanager
    def held(
        self, town: str, at: Point, *, lease: float = LEASE_SECONDS
    ) -> Iterator[Callable[[], None]]:
        """Have a worker come to a point, and wait there, alive and keeping its lease, until the
        function that is yielded kills it."""
        order = _order(town, at=at.as_json(), lease=lease)
        with self._connected(order) as (connection, lines):
            assert any("dies" in line for line in lines), f"it never came to {at}"

            def kill() -> None:
                connection.sendall(b"now\n")
                self._life(town, lines)

            yield kill

    def _life(self, town: str, lines: Iterator[dict[str, Any]]) -> Life:
        life, errors, settled = Life(), [], False
        for line in lines:
            if "point" in line:
                life.points.append(Point.of(line["point"]))
            elif "dies" in line:
                life.died_at = Point.of(line["dies"])
            elif "settled" in line:
                settled = line["settled"]
            elif "error" in line:
                errors.append(line["error"])
            elif line["ended"] == -signal.SIGKILL:
                return life
            else:
                assert not errors, errors
                last = life.points[-1] if life.points else "no point"
                assert settled, f"operations of {town} are still under way; it came to {last}"
                return life
        raise AssertionError(f"nobody told how the worker of {town} ended")

    @contextmanager
    def _connected(
        self, order: dict[str, Any]
    ) -> Iterator[tuple[socket.socket, Iterator[dict[str, Any]]]]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(150)
            connection.connect(self._path)
            connection.sendall(json.dumps(order).encode() + b"\n")
            with connection.makefile() as text:
                yield connection, map(json.loads, text)


@contextmanager
def running_workers(env: Mapping[str, str], folder: Path) -> Iterator[Workers]:
    """Started with an environment; nothing of them is left afterwards."""
    path = folder / "workers.sock"
    with (folder / "workers.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.doomed_worker", str(path)],
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == b"ready\n", (folder / "workers.log").read_text()
        yield Workers(path)
    finally:
        server.stdin.close()
        server.wait(30)
        server.stdout.close()


def _order(
    town: str,
    *,
    spared: list[list[Any]] | None = None,
    chosen: Slice = ALL,
    at: list[Any] | None = None,
    lease: float = LEASE_SECONDS,
) -> dict[str, Any]:
    return {
        "do": "drive",
        "town": town,
        "spared": spared,
        "slice": astuple(chosen),
        "at": at,
        "lease": lease,
    }


def walk(
    workers: Workers, town: str, chosen: Slice = ALL, *, seconds: float = 200
) -> tuple[list[Point], list[Point]]:
    """Drive a town's operations with workers of which each is killed at the first chosen point that
    none before it died at, until one comes to the end; returns where they died, and all the points
    that they came to."""
    died: list[Point] = []
    met: dict[Point, None] = {}
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        life = workers.drive(town, spared=died, chosen=chosen)
        met |= dict.fromkeys(life.points)
        if life.died_at is None:
            return died, list(met)
        died.append(life.died_at)
    raise AssertionError(f"not at its end after {len(died)} kills; the last was {died[-1]}")
