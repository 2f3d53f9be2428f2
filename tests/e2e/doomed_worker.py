"""Workers that are killed outright at a point of their way, commands, and what else is asked inside
Django.

`python -m tests.e2e.doomed_worker SOCKET` imports Django once and then forks a process for each
connection: a real worker process that costs no start. Nothing is connected before a fork. Each gets
its order as one line of JSON, tells as lines what it comes to, and its end is told by whoever waits
for it: by which signal, or with which exit code. It all ends when standard input does.
"""

import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn
from unittest import mock

import django

from tests.e2e.points import Point, Slice, Watch

LONGEST_SECONDS = 100.0
Tell = Callable[..., None]


def serve(path: str) -> None:
    """Fork for each connection until standard input ends."""
    django.setup()
    from tests.e2e import inside
    from towns.flows import driver, registry
    from towns.services import default_services
    from towns.services.r2 import R2Client
    from towns.words import OperationKind

    assert driver
    assert inside
    for kind in OperationKind:
        registry.flow_of(kind)
    r2 = default_services().r2
    assert isinstance(r2, R2Client)
    r2._store.client()  # slow to make, and it connects at its first call only
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        print("ready", flush=True)
        while True:
            readable, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in readable:
                return
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _mind(connection)
            connection.close()


def _mind(connection: socket.socket) -> NoReturn:
    """Fork the worker, wait for its end, and tell it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        _work(connection)
    _, status = os.waitpid(pid, 0)
    try:
        _teller(connection)(ended=os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


def _work(connection: socket.socket) -> NoReturn:
    tell = _teller(connection)
    lines, code = connection.makefile(), 1
    try:
        order = json.loads(lines.readline())
        if order["do"] != "manage":
            # Kills make it ask again and again; that Fly's rates are kept to the storm shows.
            mock.patch("towns.budgets.SharedBuckets.take").start()
        if order["do"] == "drive":
            _drive(order, tell, lines.readline)
        else:
            from tests.e2e import inside

            tell(answer=getattr(inside, order["do"])(**order["with"]))
        code = 0
    finally:
        if code:
            tell(error=traceback.format_exc())
        os._exit(code)


def _teller(connection: socket.socket) -> Tell:
    def tell(**fields: Any) -> None:
        connection.sendall(json.dumps(fields).encode() + b"\n")

    return tell


def _drive(order: dict[str, Any], tell: Tell, listen: Callable[[], str]) -> None:
    """Drive the town's operations until none is open; die at the first point of the slice that
    isn't `spared`.

    Given the point to die `at`, it waits there for a line first: its lease is kept meanwhile.
    """
    from django.conf import settings

    from towns.flows import driver
    from towns.models import Operation
    from towns.services import default_services

    at = order["at"] and Point.of(order["at"])
    spared = None if order["spared"] is None else set(map(Point.of, order["spared"]))
    chosen = Slice(*order["slice"])

    def reached(point: Point) -> None:
        tell(point=point.as_json())
        if point == at or (spared is not None and point not in spared and chosen.has(point)):
            tell(dies=point.as_json())
            if at is not None:
                listen()
            os.kill(os.getpid(), signal.SIGKILL)

    Watch(reached).install()
    settings.GASTOWN_LEASE_SECONDS = order["lease"]
    settings.GASTOWN_DRIVER_THREADS = 1
    due = driver.due_operations
    driver.due_operations = lambda now: due(now).filter(town=order["town"])
    driver.POLL_SECONDS = 0.05
    ends = time.monotonic() + LONGEST_SECONDS
    mine = Operation.objects.filter(town=order["town"], state="open")

    def over() -> bool:
        return time.monotonic() > ends or not mine.exists()

    driver.drive(default_services(), stop=over)
    tell(settled=not mine.exists())


if __name__ == "__main__":
    serve(sys.argv[1])
