"""Ids and times as Fly writes them."""

import secrets
import time
from datetime import UTC, datetime

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def machine_id() -> str:
    """14 hexadecimal digits."""
    return secrets.token_hex(7)


def volume_id() -> str:
    """`vol_` and 16 characters."""
    return f"vol_{secrets.token_hex(8)}"


def snapshot_id() -> str:
    """`vs_` and 16 characters."""
    return f"vs_{secrets.token_hex(8)}"


def ulid() -> str:
    """26 characters; later ones sort after earlier ones."""
    number = (now_ms() << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def now_ms() -> int:
    """Milliseconds since the epoch, as in a machine's events."""
    return time.time_ns() // 1_000_000


def now_iso() -> str:
    """The time as in `created_at`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
