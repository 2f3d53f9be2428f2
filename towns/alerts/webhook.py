"""The signed webhook, after https://www.standardwebhooks.com.

    POST GASTOWN_ALERT_WEBHOOK_URL
    content-type: application/json
    webhook-id: 3f0c…            the same at every try: drop what you had already
    webhook-timestamp: 1771329600    of this try, in seconds; refuse one that is minutes old
    webhook-signature: v1,BASE64     HMAC-SHA256 under the secret of "id.timestamp.body"

    {"type": "alert.opened" or "alert.resolved", "timestamp": "2026-02-17T12:00:00Z",
     "data": {"headline": …, "advice": …, "severity": "critical" or "warning", "count": 300,
              "causes": ["restart_failed"], "regions": {"ams": 300}, "images": {…},
              "alert_ids": [all of them], "alerts": [the first ten, as in GET /api/v1/alerts]}}

A 2xx is taken as received; 410 ends this message for good; all else is tried again. The secret is a
text, or `whsec_` and base64, as others hand them out.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import requests
from django.conf import settings
from urllib3.exceptions import NewConnectionError

from towns.alerts.letters import RESOLVED, advice, counts, headline
from towns.alerts.recipients import webhook_host
from towns.alerts.sending import SENT, Ending, Outcome
from towns.models import Alert
from towns.presenting import iso

TIMEOUTS = (3.05, 7.0)
"""Seconds to connect, and to wait for the answer."""
ALERTS_SHOWN = 10
BASE64_MARK = "whsec_"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to, and the key; neither is ever shown."""

    url: str
    key: bytes

    @property
    def host(self) -> str:
        """What may be shown."""
        return webhook_host(self.url)


def endpoint() -> Endpoint | None:
    """The webhook that is set, or None."""
    url, secret = settings.GASTOWN_ALERT_WEBHOOK_URL, settings.GASTOWN_ALERT_WEBHOOK_SECRET
    return Endpoint(url, key_of(secret)) if url and secret else None


def key_of(secret: str) -> bytes:
    """The bytes that sign. Raises ValueError for a `whsec_` secret that is no base64."""
    if not secret.startswith(BASE64_MARK):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(BASE64_MARK), validate=True)
    except binascii.Error:
        raise ValueError("what follows whsec_ is no base64") from None


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of the header webhook-signature."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


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


def post(to: Endpoint, body: bytes, *, message_id: UUID, now: datetime) -> Outcome:
    """One try. Errors name the host alone: requests puts the whole address into its own."""
    stamp = int(now.timestamp())
    headers = {
        "content-type": "application/json",
        "user-agent": "gastown-ops",
        "webhook-id": str(message_id),
        "webhook-timestamp": str(stamp),
        "webhook-signature": signature(to.key, str(message_id), stamp, body),
    }
    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxy or .netrc comes between
            answer = session.post(
                to.url,
                data=body,
                headers=headers,
                timeout=TIMEOUTS,
                allow_redirects=False,
                stream=True,  # nobody reads what it says
            )
            status = answer.status_code
            answer.close()
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
        return Outcome(Ending.FAILED, "GASTOWN_ALERT_WEBHOOK_URL is no address.", channel_down=True)
    except (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError) as error:
        return _unreachable(to, type(error).__name__)
    except requests.exceptions.ConnectionError as error:
        if _never_connected(error):
            return _unreachable(to, "no connection")
        return Outcome(Ending.IN_DOUBT, f"{to.host} went away before it answered.")
    except requests.exceptions.RequestException as error:
        return Outcome(Ending.IN_DOUBT, f"{to.host} did not answer: {type(error).__name__}.")
    if 200 <= status < 300:
        return SENT
    if status == 410:
        return Outcome(Ending.REFUSED, f"{to.host} answered 410: it wants no more.")
    return Outcome(Ending.FAILED, f"{to.host} answered {status}.")


def _unreachable(to: Endpoint, why: str) -> Outcome:
    return Outcome(Ending.FAILED, f"{to.host} can't be reached: {why}.", channel_down=True)


def _never_connected(error: requests.exceptions.ConnectionError) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)


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
