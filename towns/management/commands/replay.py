"""`manage.py replay [TOWN …] --days N --set NAME=VALUE`: recorded days under other settings."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from towns.management.base import OpsCommand, table
from towns.replay import reading, telling
from towns.replay.outcome import Totals
from towns.replay.run import Replay, prepare, replay
from towns.replay.scenario import scenario_with, settables

SHOWN = 20
DAYS = 7


class Command(OpsCommand):
    help = (
        "Decide the last days again under changed settings, and say which towns would have been "
        "stopped or restarted, what that would have saved, and how many stops would have been "
        "wrong. Changes nothing. `--set` with an unknown name lists what can be changed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("towns", nargs="*", metavar="TOWN", help="just these; default: all")
        parser.add_argument("--days", type=int, default=DAYS, metavar="N", help="default: 7")
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            dest="changes",
            metavar="NAME=VALUE",
            help="a changed setting, such as GASTOWN_IDLE_TIMEOUT_MINUTES=15; may be repeated",
        )
        parser.add_argument("--list-settings", action="store_true", help="say what can be changed")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list_settings"]:
            self._list_settings()
            return
        scenario = scenario_with(options["changes"])
        only = [town.pk for town in self.towns(options["towns"])] if options["towns"] else None
        ready = prepare(scenario, now=timezone.now(), days=options["days"])
        total = reading.towns_of(ready.since, only).count()
        with self.progress(total, "replay") as bar:
            totals = replay(ready, only=only, on_towns=bar.update)
        self.tell(
            telling.document(totals, scenario, since=ready.since, until=ready.until),
            _lines(totals, ready, options["days"]),
        )

    def _list_settings(self) -> None:
        rows = [
            (one.name, "-" if one.now is None else one.now, f"{one.least:g} to {one.most:g}",
             one.meaning)
            for one in settables().values()
        ]  # fmt: skip
        heads = ("name", "now", "may be", "meaning")
        self.tell([dict(zip(heads, row, strict=True)) for row in rows], table(rows, heads))


def _lines(totals: Totals, ready: Replay, days: int) -> Iterator[str]:
    changes = ", ".join(ready.scenario.described()) or "the settings as they are"
    yield f"{totals.towns:,} towns, {days} days, with {changes}:"
    yield ""
    rows = [(one.name, one.happened, one.replayed) for one in telling.figures(totals)]
    yield from table(rows, ("", "happened", "replayed"))
    yield ""
    yield telling.verdict(totals)
    if totals.listed:
        yield ""
        shown = totals.listed[:SHOWN]
        more = totals.towns_that_differ - len(shown)
        yield from table([_row(row) for row in shown], ("town", "hours saved", "instead (UTC)"))
        if more > 0:
            yield f"and {more:,} towns more that differ (--json has up to {len(totals.listed):,})"
    yield ""
    yield from (f"Note: {text}" for text in telling.notes(totals, ready.scenario))
    yield from (f"Limit: {text}" for text in telling.LIMITS)


def _row(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["town"], f"{row['hours_saved']:+.1f}", telling.instead(row)
