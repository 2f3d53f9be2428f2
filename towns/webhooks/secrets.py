"""The secrets of webhooks: derived as the sandboxes' keys are (product.md 5.4), never stored."""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta

from django.conf import settings

from towns.models import WebhookEndpoint
from towns.posting import BASE64_MARK

BOTH_FOR = timedelta(hours=24)
"""For so long after a secret was replaced the one before signs too."""


def secret_of(endpoint: WebhookEndpoint) -> str:
    """The present secret as its receiver keeps it. It is shown once, to who made it."""
    key = _key(endpoint, endpoint.secret_version)
    return BASE64_MARK + base64.b64encode(key).decode()


def keys_of(endpoint: WebhookEndpoint, now: datetime) -> tuple[bytes, ...]:
    """What signs now, the newest first."""
    version = endpoint.secret_version
    both = version > 1 and now < endpoint.secret_at + BOTH_FOR
    return tuple(_key(endpoint, one) for one in ((version, version - 1) if both else (version,)))


def _key(endpoint: WebhookEndpoint, version: int) -> bytes:
    text = f"webhook:{endpoint.pk}:{version}"
    master = settings.GASTOWN_INTERNAL_API_SECRET.encode()
    return hmac.new(master, text.encode(), hashlib.sha256).digest()
