"""How a sandbox is addressed (product.md 5.4), and what it says to a request for a backup."""

import hmac
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SandboxAddress:
    """Where one town's sandbox answers, and the key that it answers to."""

    town_id: str
    machine_id: str
    url: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SyncAnswer:
    """What `POST /sync` answered; only R2 tells whether a backup was really made.

    `accepted`: a backup is under way (202). Otherwise it is done and `snapshot` names it (200).
    """

    accepted: bool
    snapshot: str | None = None
    previous: str | None = None


def sandbox_key(secret: str, town_id: str, version: int) -> str:
    """A town's derived key: HMAC-SHA256 of `town:{id}:{version}`, in lower-case hex."""
    text = f"town:{town_id}:{version}"
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()


def sandbox_url(template: str, *, machine_id: str, app: str, town_id: str, region: str) -> str:
    """Fill in `GASTOWN_SANDBOX_URL`. Raises KeyError for a placeholder that it doesn't have."""
    url = template.format(machine_id=machine_id, app=app, town_id=town_id, region=region)
    return url.rstrip("/")
