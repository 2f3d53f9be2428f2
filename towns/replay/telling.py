"""A replay's result as people read it, and as one document: for the command and the page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from towns.readable import utc
from towns.replay.outcome import Totals
from towns.replay.scenario import EVERY, Scenario

LIMITS = (
    "A town that really slept has no checks meanwhile: where the replay would have let it sleep "
    "later, it is taken to be without work and visitors until its owner came.",
    "A town that the replay would have stopped earlier is watched on in its checks: its owner's "
    "next sign of use ends the sleep, and counts as wrong if it comes at once, also where the "
    "second look just before a stop would have called it off. Signs of use are known to one health "
    "period, and hours are counted from the decision to stop.",
    "An episode that a restart ended would have gone on: history can't tell which towns more "
    "patience would have healed, nor what one more restart would have brought.",
    "That only so many restarts may be under way at once is left out, and each town is taken to be "
    "in its present region and on its present image.",
)
"""What a replay can't know, told with each result."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the comparison."""

    name: str
    happened: str
    replayed: str


def figures(totals: Totals) -> list[Figure]:
    """What happened beside what would have."""
    return [
        Figure("Idle stops", f"{totals.stops:,}", f"{totals.would_stop:,}"),
        Figure(
            "Wrong stops",
            _of(totals.stops_wrong, totals.stops),
            _of(totals.would_stop_wrong, totals.would_stop),
        ),
        Figure("Towns stopped", f"{totals.towns_stopped:,}", f"{totals.towns_would_stop:,}"),
        Figure(
            "Machine hours asleep",
            f"{totals.asleep_hours:,.1f}",
            f"{totals.would_sleep_hours:,.1f}",
        ),
        Figure("Automatic restarts", f"{totals.restarts:,}", f"{totals.would_restart:,}"),
        Figure("Towns given up", f"{totals.given_up:,}", f"{totals.would_give_up:,}"),
    ]


def _of(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.1f} %)" if whole else f"{part:,}"


def money(totals: Totals) -> float | None:
    """What is saved, in dollars; None where no price of a machine hour is set."""
    price: float = settings.GASTOWN_MACHINE_HOUR_PRICE
    return round(totals.hours_saved * price, 2) if price else None


def verdict(totals: Totals) -> str:
    """The result in one sentence."""
    hours, dollars = totals.hours_saved, money(totals)
    price = f" (${abs(dollars):,.2f})" if dollars is not None else ""
    if abs(hours) < 0.05:
        saved = "No machine hours would have been saved or lost"
    elif hours > 0:
        saved = f"{hours:,.1f} machine hours{price} would have been saved"
    else:
        saved = f"{-hours:,.1f} more machine hours{price} would have been spent"
    wrong = totals.would_stop_wrong - totals.stops_wrong
    if wrong == 0:
        return f"{saved}, with as many wrong stops."
    return f"{saved}, with {abs(wrong):,} {'more' if wrong > 0 else 'fewer'} wrong stops."


def notes(totals: Totals, scenario: Scenario) -> list[str]:
    """What has to be known to read this result, the gravest first."""
    found = []
    if not totals.checks:
        found.append("No health check is recorded in these days: there was nothing to decide by.")
    elif totals.checks_without_use:
        share = 100 * totals.checks_without_use / totals.checks
        since = totals.use_known_since
        known = f"from {utc(datetime.fromisoformat(since))} on" if since else "in none of them yet"
        found.append(
            f"How towns were used is recorded {known}: {share:.0f} % of the checks lack it, and "
            "there the replay takes the idle stops that really were."
        )
    if totals.would_stop_while_working:
        found.append(
            f"{totals.would_stop_while_working:,} of the replayed stops would have prevented work: "
            "the town had active polecats later, without its owner having come."
        )
    names = dict(scenario.changes)
    if "GASTOWN_IDLE_TIMEOUT_MINUTES" in names and EVERY not in names:
        found.append(
            f"Only towns with the usual idle timeout of {scenario.usual_was} min were given "
            f"another; {EVERY} changes it for all."
        )
    return found


def document(totals: Totals, scenario: Scenario, *, since: datetime, until: datetime) -> Any:
    """One JSON document."""
    facts = totals.as_json()
    towns = facts.pop("listed")
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "set": dict(scenario.changes),
        **{name: round(one, 2) if isinstance(one, float) else one for name, one in facts.items()},
        "hours_saved": round(totals.hours_saved, 2),
        "money_saved": money(totals),
        "towns_that_differ_most": [
            {name: one for name, one in row.items() if name != "weight"} for row in towns
        ],
        "notes": notes(totals, scenario),
        "limits": list(LIMITS),
    }


def instead(row: dict[str, Any]) -> str:
    """How one town's history would have been another, from its row of the result."""
    parts = [
        _compared("stopped", row["stopped"], row["would_stop"]),
        _compared("restarted", row["restarted"], row["would_restart"]),
    ]
    if row["would_give_up"]:
        parts.append("given up " + _times(row["would_give_up"]))
    if row["wrong"]:
        parts.append("wrong: " + _times(row["wrong"]))
    if any(parts):
        return "; ".join(filter(None, parts))
    stopped, restarted = _times(row["stopped"]), _times(row["restarted"])
    return f"as it was: stopped {stopped}, restarted {restarted}"


def _compared(verb: str, happened: list[str], replayed: list[str]) -> str:
    if happened == replayed:
        return ""
    return f"{verb} {_times(replayed)} instead of {_times(happened)}"


def _times(moments: list[str]) -> str:
    """The first few."""
    if not moments:
        return "never"
    shown = [f"{datetime.fromisoformat(one):%m-%d %H:%M}" for one in moments[:3]]
    more = len(moments) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
