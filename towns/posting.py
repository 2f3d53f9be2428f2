"""One signed POST, after https://www.standardwebhooks.com, and what its answer means.

    webhook-id: 3f0c…                the same at every try: drop what you had already
    webhook-timestamp: 1771329600    of this try, in seconds; refuse one that is minutes old
    webhook-signature: v1,BASE64     HMAC-SHA256 under the secret of "id.timestamp.body"

A 2xx is taken as received; 410 is the wish to hear no more; all else is tried again. While a secret
is being replaced there are two signatures with a space between: one that fits is enough. A secret
is a text, or `whsec_` and base64, as others hand them out.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from towns.sending import SENT, Ending, Outcome

TIMEOUTS = (3.05, 7.0)
"""Seconds to connect, and to wait for the answer."""
BASE64_MARK = "whsec_"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to, and the keys that sign, the newest first; nothing of it is ever shown. `named` is
    what a text calls the address when it is none."""

    url: str = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)
    named: str

    @property
    def host(self) -> str:
        """What may be shown."""
        return webhook_host(self.url)


def webhook_host(url: str) -> str:
    """What may be shown of a webhook's address: others put keys into user, path and query."""
    try:
        return urlsplit(url).hostname or "webhook"
    except ValueError:
        return "webhook"


def key_of(secret: str) -> bytes:
    """The bytes that sign. Raises ValueError for a `whsec_` secret that is no base64."""
    if not secret.startswith(BASE64_MARK):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(BASE64_MARK), validate=True)
    except binascii.Error:
        raise ValueError("what follows whsec_ is no base64") from None


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature, as in the header webhook-signature."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def post(
    to: Endpoint,
    body: bytes,
    *,
    message_id: UUID,
    now: datetime,
    adapter: HTTPAdapter | None = None,
) -> Outcome:
    """One try, through `adapter` if one is given. Errors name the host alone: requests puts the
    whole address into its own."""
    stamp = int(now.timestamp())
    headers = {
        "content-type": "application/json",
        "user-agent": "gastown-ops",
        "webhook-id": str(message_id),
        "webhook-timestamp": str(stamp),
        "webhook-signature": " ".join(
            signature(key, str(message_id), stamp, body) for key in to.keys
        ),
    }
    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxy or .netrc comes between
            if adapter is not None:
                session.mount("https://", adapter)
                session.mount("http://", adapter)
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
        return Outcome(Ending.FAILED, f"{to.named} is no address.", channel_down=True)
    except (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError) as error:
        return _unreachable(to, type(error).__name__)
    except requests.exceptions.ConnectionError as error:
        reason = _reason(error)
        if isinstance(reason, NotPublic):
            return Outcome(Ending.FAILED, f"{to.host} {reason.told}", channel_down=True)
        if isinstance(reason, NewConnectionError):
            return _unreachable(to, "no connection")
        return Outcome(Ending.IN_DOUBT, f"{to.host} went away before it answered.")
    except requests.exceptions.RequestException as error:
        return Outcome(Ending.IN_DOUBT, f"{to.host} did not answer: {type(error).__name__}.")
    if 200 <= status < 300:
        return SENT
    if status == 410:
        return Outcome(Ending.REFUSED, f"{to.host} answered 410: it wants no more.")
    return Outcome(Ending.FAILED, f"{to.host} answered {status}.")


class NotPublic(NewConnectionError):
    """The address leads into a private network; nothing was sent."""

    told = "leads to a private address, where webhooks are not sent (GASTOWN_WEBHOOK_PRIVATE)."


def _unreachable(to: Endpoint, why: str) -> Outcome:
    return Outcome(Ending.FAILED, f"{to.host} can't be reached: {why}.", channel_down=True)


def _reason(error: requests.exceptions.ConnectionError) -> object:
    return getattr(error.args[0], "reason", None) if error.args else None
