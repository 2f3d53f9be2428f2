"""`manage.py run_operations`: drives the operations that are due, beside or without a cluster."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandParser

from towns.flows.driver import drive
from towns.management.base import OpsCommand
from towns.services import default_services


class Command(OpsCommand):
    help = "Drive operations until Ctrl-C, or until nothing is due."
    logs = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--until-idle",
            nargs="?",
            type=float,
            const=5.0,
            metavar="SECONDS",
            help="return when nothing is due within that time (5 s)",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        with _end_on_signals() as ended:
            worked = drive(default_services(), until_idle=options["until_idle"], stop=ended.is_set)
        self.tell({"worked_on": worked}, [f"Worked {worked} times on operations."])


@contextmanager
def _end_on_signals() -> Iterator[threading.Event]:
    """Set on the first SIGINT or SIGTERM, to end after the steps under way. The next one counts as
    it always does, for who won't wait for a step."""
    ended = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def end(*_: object) -> None:
        ended.set()
        restore()

    for number in before:
        signal.signal(number, end)
    try:
        yield ended
    finally:
        restore()
