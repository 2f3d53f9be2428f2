"""Sweeping chosen towns from the admin."""

from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpRequest

from towns.models import Town
from towns.services import Services
from towns.sweeps.health import SweepReport, sweep_named
from towns.words import CheckResult

TOLD = 20


def sweep_now(req: HttpRequest, towns: Sequence[Town], services: Services) -> None:
    """Ask the chosen towns now how they are, and say what came of it."""
    report = sweep_named(towns, services)
    counts = ", ".join(f"{count} {name}" for name, count in report.results.items() if count)
    messages.success(req, f"Swept: {counts or 'nobody'}.")
    for text in _troubles(report)[:TOLD]:
        messages.warning(req, text)


def _troubles(report: SweepReport) -> list[str]:
    """No line begins with a name, whose first letter Django's page would turn into a capital."""
    failed = [
        f"{one.judgement.result}: {one.town}. {one.judgement.reason}"
        for one in report.observations
        if one.judgement.result != CheckResult.OK
    ]
    words = {"restart": "Is restarted", "error": "Goes to error", "none": "Is not restarted"}
    return failed + [f"{words[one.action]}: {one.town}. {one.why}" for one in report.decisions]
