"""`manage.py automation freeze|thaw|status`: the red button."""

from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from towns import automation
from towns.history import Actor
from towns.management.base import OpsCommand, add_json
from towns.models import Freeze
from towns.readable import utc


class Command(OpsCommand):
    help = "Halt automatic actions, let them go on, or say what holds them."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True, metavar="freeze|thaw|status")
        freeze = commands.add_parser("freeze", help="halt automatic actions")
        freeze.add_argument("--reason", required=True)
        freeze.add_argument("--minutes", type=int, help="ends by itself; else until thawed")
        thaw = commands.add_parser("thaw", help="let them go on")
        for one in (freeze, thaw):
            one.add_argument("--scope", choices=Freeze.Scope.values, default=Freeze.Scope.ALL)
            add_json(one)
        add_json(commands.add_parser("status", help="what holds them"))

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        if options["what"] == "freeze":
            minutes = options["minutes"]
            if minutes is not None and minutes <= 0:
                self.refuse(f"--minutes is a number over 0, not {minutes}.")
            automation.freeze(
                options["scope"],
                reason=options["reason"],
                actor=Actor.shell(),
                now=now,
                until=None if minutes is None else now + timedelta(minutes=minutes),
            )
        thawed = None
        if options["what"] == "thaw":
            thawed = automation.thaw(options["scope"], actor=Actor.shell(), now=now)
        self._status(now, [] if thawed is None else [_thawed(options["scope"], thawed)])

    def _status(self, now: datetime, lines: list[str]) -> None:
        found = [automation.standing_freeze(scope, now) for scope in Freeze.Scope]
        freezes = [freeze for freeze in found if freeze is not None]
        breakers = list(automation.open_breakers().values())
        document = {
            "freezes": [
                {
                    "scope": one.scope,
                    "reason": one.reason,
                    "actor": one.actor,
                    "since": one.since.isoformat(),
                    "until": one.until.isoformat() if one.until else None,
                }
                for one in freezes
            ],
            "breakers": [
                {"scope": one.scope, "state": one.state, "reason": one.reason} for one in breakers
            ],
        }
        standing = [
            f"frozen: {one.scope}, by {one.actor} since {utc(one.since)}, until "
            f"{utc(one.until) if one.until else 'thawed'}: {one.reason}"
            for one in freezes
        ]
        standing += [f"breaker {one.state}: {one.scope}: {one.reason}" for one in breakers]
        runs = ["Automation runs: no freeze, no open breaker."]
        self.tell(document, lines + (standing or runs))


def _thawed(scope: str, thawed: bool) -> str:
    return f"Thawed: {scope}." if thawed else f"There was no freeze of the scope {scope}."
