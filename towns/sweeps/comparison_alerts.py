"""Alerts about Fly's lists: that they are missing, or not believed, of the fleet or of one app."""

from collections.abc import Mapping
from datetime import datetime

from towns import alerts
from towns.automation import FLEET
from towns.models import Alert, Sweep
from towns.services.errors import Rejected, ServiceError

BLIND, DOUBT = "reconcile_blind", "reconcile_doubt"
BLIND_LIMIT = 3
"""So many sweeps in a row that get no list from Fly raise an alert."""
_APP = "app:"
_UNTIL = (
    "None of it is believed, and nothing is done by reconciliation until they are listed again: "
    "check GASTOWN_FLY_APP_NAME, the token, and Fly's status. If they are lost indeed, name their "
    "towns: `manage.py sweep_reconcile TOWN …` asks Fly for each by itself."
)


def tell_blind(error: ServiceError, now: datetime) -> None:
    """A refusal is told at once: it is our token or app. Silence is told when it lasts."""
    refused = isinstance(error, Rejected)
    if refused or _lasts(None):
        alerts.open_alert(
            cause=BLIND,
            subject=FLEET,
            severity="critical" if refused else "warning",
            message="Fly's machines and volumes can't be compared with our rows: nothing is known, "
            f"and nothing is done. {error}",
            now=now,
        )


def tell_doubt(why: str, now: datetime, *, whole: bool) -> None:
    """Only a look at the whole fleet closes the alert."""
    alerts.resolve_alerts(
        subject=FLEET, causes=[BLIND], resolution="Fly gave its lists again", now=now
    )
    if why:
        message = f"{why} {_UNTIL}"
        alerts.open_alert(cause=DOUBT, subject=FLEET, severity="critical", message=message, now=now)
    elif whole:
        alerts.resolve_alerts(
            subject=FLEET, causes=[DOUBT], resolution="Fly lists them again", now=now
        )


def tell_apps(
    failed: Mapping[str, ServiceError], doubted: Mapping[str, str], now: datetime
) -> None:
    """The same of single apps while others are well. To be called after a look at all of them."""
    for app, error in failed.items():
        refused = isinstance(error, Rejected)
        if refused or _lasts(app):
            alerts.open_alert(
                cause=BLIND,
                subject=f"{_APP}{app}",
                severity="critical" if refused else "warning",
                message=f"The machines and volumes of app {app} can't be compared with our rows: "
                f"nothing is known of its towns, and nothing is done about them. {error}",
                now=now,
            )
    for app, why in doubted.items():
        alerts.open_alert(
            cause=DOUBT,
            subject=f"{_APP}{app}",
            severity="critical",
            message=f"App {app}: {why} {_UNTIL}",
            now=now,
        )
    standing = Alert.objects.filter(
        cause__in=(BLIND, DOUBT), subject__startswith=_APP, resolved_at=None
    )
    over = [
        alert.pk
        for alert in standing
        if (app := alert.subject.removeprefix(_APP)) not in failed
        and not (alert.cause == DOUBT and app in doubted)
    ]
    alerts.resolve_many(over, resolution="Fly gives the lists of the app again", now=now)


def _lasts(app: str | None) -> bool:
    """Whether the last sweeps got no list either: from this app, or from any."""
    earlier = Sweep.objects.filter(kind=Sweep.Kind.RECONCILE, finished_at__isnull=False)
    last = list(earlier.values_list("summary", flat=True)[: BLIND_LIMIT - 1])
    return len(last) == BLIND_LIMIT - 1 and all(
        one.get("blind") or app in one.get("blind_apps", ()) for one in last
    )
