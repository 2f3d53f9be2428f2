"""`manage.py automation freeze|thaw|maintenance|status`: the red button, and planned quiet."""

from argparse import ArgumentTypeError
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from towns import automation
from towns.causes import failure_facts, grouped, number_of
from towns.changes import (
    FREEZE_MAX_MINUTES,
    WINDOW_MAX_MINUTES,
    validated_minutes,
    validated_reason,
    validated_window,
)
from towns.history import Actor
from towns.lookup import find_scope
from towns.management.base import OpsCommand, add_json
from towns.models import Freeze
from towns.presenting import standing_facts
from towns.readable import utc
from towns.standing import Standing, read_standing

ACTOR = Actor.shell()


class Command(OpsCommand):
    help = "Halt automatic actions, let them go on, or say what holds them."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(
            dest="what", required=True, metavar="freeze|thaw|maintenance|status"
        )
        freeze = commands.add_parser("freeze", help="halt automatic actions")
        freeze.add_argument("--reason", required=True)
        freeze.add_argument("--minutes", type=int, help="ends by itself; else until thawed")
        thaw = commands.add_parser("thaw", help="let them go on")
        for one in (freeze, thaw):
            one.add_argument("--scope", choices=Freeze.Scope.values, default=Freeze.Scope.ALL)
        window = commands.add_parser(
            "maintenance", help="keep them away from some towns for a time"
        )
        window.add_argument("--scope", help="fleet, region:ams, image:… or town:OWNER/NAME")
        window.add_argument("--reason", default="")
        window.add_argument("--from", dest="since", type=_moment, metavar="TIME", help="else now")
        ends = window.add_mutually_exclusive_group()
        ends.add_argument("--until", type=_moment, metavar="TIME", help="such as 2026-02-17T12:00Z")
        ends.add_argument("--minutes", type=int, help="instead of --until")
        ends.add_argument("--end", type=int, metavar="ID", help="end a window before its time")
        for one in (freeze, thaw, window, commands.add_parser("status", help="what holds them")):
            add_json(one)

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        told = list(getattr(self, f"_{options['what']}")(now, options))
        standing = read_standing(now)
        failing, groups = grouped()
        held = list(_standing_lines(standing, now))
        lines = [*told, *(held or ["Automation runs: no freeze, no open breaker."])]
        if failing:
            lines.append(f"failing now: {number_of(failing)} towns. What they share:")
            lines += [f"  {group}" for group in groups] or ["  nothing"]
        document = {**standing_facts(standing), "failures": failure_facts(failing, groups)}
        self.tell(document, lines)

    def _status(self, now: datetime, options: dict[str, Any]) -> Iterator[str]:
        yield from ()

    def _freeze(self, now: datetime, options: dict[str, Any]) -> Iterator[str]:
        until = validated_minutes(options["minutes"], now, "minutes", FREEZE_MAX_MINUTES)
        reason = validated_reason(options["reason"])
        automation.freeze(options["scope"], reason=reason, actor=ACTOR, now=now, until=until)
        yield from ()

    def _thaw(self, now: datetime, options: dict[str, Any]) -> Iterator[str]:
        scope = options["scope"]
        if automation.thaw(scope, actor=ACTOR, now=now):
            yield f"Thawed: {scope}."
        else:
            yield f"There was no freeze of the scope {scope}."

    def _maintenance(self, now: datetime, options: dict[str, Any]) -> Iterator[str]:
        if options["end"] is not None:
            if not automation.end_window(options["end"], actor=ACTOR, now=now):
                self.refuse(f"There is no window {options['end']}, or it has ended already.")
            yield f"Ended: window {options['end']}."
            return
        if not options["scope"]:
            self.refuse("--scope is missing: fleet, region:ams, image:… or town:OWNER/NAME.")
        begins = options["since"] or now
        until = options["until"] or validated_minutes(
            options["minutes"], begins, "minutes", WINDOW_MAX_MINUTES
        )
        window = validated_window(
            scope=find_scope(options["scope"]),
            since=begins,
            until=until,
            reason=options["reason"],
            now=now,
        )
        made = automation.plan_window(**window, actor=ACTOR, now=now)
        yield f"Planned: window {made.pk}."


def _moment(text: str) -> datetime:
    """A time as ISO 8601; one without an offset is in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError("write a time such as 2026-02-17T12:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _standing_lines(standing: Standing, now: datetime) -> Iterator[str]:
    for one in (standing.freeze, standing.recovery):
        if one is not None:
            until = utc(one.until) if one.until else "thawed"
            yield (
                f"frozen: {one.scope}, by {one.actor} since {utc(one.since)}, until {until}: "
                f"{one.reason}"
            )
    for breaker in standing.breakers.values():
        yield f"breaker {breaker.state}: {breaker.scope}: {breaker.reason}"
    for window in sorted(standing.windows, key=lambda one: (one.since, one.pk)):
        when = "until" if window.since <= now else f"from {utc(window.since)} until"
        yield (
            f"maintenance {window.pk}: {window.scope}, {when} {utc(window.until)}, by "
            f"{window.actor}: {window.reason}"
        )
