"""`manage.py run_operations`: drives the operations that are due, beside or without a cluster."""

import signal
import threading
from typing import Any

from django.core.management.base import CommandParser

from towns.flows.driver import drive
from towns.management.base import OpsCommand
from towns.services import default_services


class Command(OpsCommand):
    help = "Drive operations until Ctrl-C, or until nothing is due."

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
        ends = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ends.set())
        worked = drive(default_services(), until_idle=options["until_idle"], stop=ends.is_set)
        self.tell({"worked_on": worked}, [f"Worked {worked} times on operations."])
