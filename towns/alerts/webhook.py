"""The webhook of alerts: what is posted, signed as `towns.posting` says.

{"type": "alert.opened" or "alert.resolved", "timestamp": "2026-02-17T12:00:00Z",
 "data": {"headline": …, "advice": …, "severity": "critical" or "warning", "count": 300,
          "causes": ["restart_failed"], "regions": {"ams": 300}, "images": {…},
          "alert_ids": [all of them], "alerts": [the first ten, as in GET /api/v1/alerts]}}
"""

import json
from collections.abc import Sequence
from typing import Any

from django.conf import settings

from towns.alerts.letters import RESOLVED, advice, counts, headline
from towns.models import Alert
from towns.posting import Endpoint, key_of
from towns.presenting import iso

ALERTS_SHOWN = 10


def endpoint() -> Endpoint | None:
    """The webhook that is set, or None."""
    url, secret = settings.GASTOWN_ALERT_WEBHOOK_URL, settings.GASTOWN_ALERT_WEBHOOK_SECRET
    if not (url and secret):
        return None
    return Endpoint(url, (key_of(secret),), "GASTOWN_ALERT_WEBHOOK_URL")


def payload(alerts: Sequence[Alert], *, news: str, digest: str = "") -> bytes:
    """The JSON document for alerts that are told together; the same at every try."""
    regions, images = counts(alerts)
    moments = [alert.resolved_at if news == RESOLVED else alert.opened_at for alert in alerts]
    critical = any(alert.severity == Alert.Severity.CRITICAL for alert in alerts)
    document = {
        "type": f"alert.{news}",
        "timestamp": iso(max(filter(None, moments), default=None)),
        "data": {
            "headline": headline(alerts, news=news, digest=digest),
            "advice": advice(alerts, news=news),
            "severity": Alert.Severity.CRITICAL if critical else Alert.Severity.WARNING,
            "count": len(alerts),
            "causes": sorted({alert.cause for alert in alerts}),
            "regions": regions,
            "images": images,
            "alert_ids": [alert.pk for alert in alerts],
            "alerts": [_alert(alert) for alert in alerts[:ALERTS_SHOWN]],
        },
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _alert(alert: Alert) -> dict[str, Any]:
    town = alert.town
    return {
        "id": alert.pk,
        "town": None if town is None else str(town.pk),
        "town_name": None if town is None else str(town),
        "subject": alert.subject,
        "cause": alert.cause,
        "severity": alert.severity,
        "message": alert.message,
        "opened_at": iso(alert.opened_at),
        "resolved_at": iso(alert.resolved_at),
        "resolution": alert.resolution,
    }
