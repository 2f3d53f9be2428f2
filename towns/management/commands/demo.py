"""`manage.py demo`: the whole fleet on this computer, until Ctrl-C."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from towns.demo import supervisor


class Command(BaseCommand):
    help = "Run a local cloud, five towns, workers and the web server, until Ctrl-C."
    requires_system_checks: list[str] = []  # its own processes are checked with their settings

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="of the web server")
        parser.add_argument("--dir", type=Path, help="where its fleet is kept (var/demo)")
        parser.add_argument(
            "--check", action="store_true", help="prove it: break two towns, see them heal, end"
        )
        parser.add_argument("--inside", action="store_true", help="(for the demo itself)")

    def handle(self, *args: Any, **options: Any) -> None:
        check: bool = options["check"]
        if options["inside"]:
            sys.exit(self._inside(check))
        default = settings.BASE_DIR / "var" / ("demo-check" if check else "demo")
        root: Path = (options["dir"] or default).resolve()
        sys.exit(supervisor.run(root, port=options["port"], check=check))

    def _inside(self, check: bool) -> int:
        from towns.demo import check as checking
        from towns.demo import inside

        if check:
            return checking.run()
        inside.run()
        return 0
