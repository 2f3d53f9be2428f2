"""Leases: who holds one is the only one who may change a machine."""

import secrets
import time
from datetime import UTC, datetime
from typing import Any

from .errors import ApiError, not_found
from .records import Lease, Machine
from .state import State
from .web import Answer, Request

NONCE_HEADER = "fly-machine-lease-nonce"
DEFAULT_TTL = 13


def standing(machine: Machine) -> Lease | None:
    """The lease of a machine, unless its time is over."""
    lease = machine.lease
    return lease if lease is not None and lease.expires_at > time.time() else None


def check_lease(request: Request, machine: Machine) -> None:
    """Raises a 409 when somebody else holds the machine."""
    lease = standing(machine)
    if lease is not None and request.headers.get(NONCE_HEADER) != lease.nonce:
        raise ApiError(409, f"machine {machine.id} is leased by {lease.owner}", "conflict")


class Leases:
    """The calls about leases."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handle(self, request: Request, machine_id: str) -> Answer:
        """Get, take, renew or give back."""
        with self._state.changing():
            machine = self._state.machine(machine_id)
            if request.method == "GET":
                lease = standing(machine)
                if lease is None:
                    raise not_found("lease")
                return Answer(_document(lease))
            check_lease(request, machine)
            if request.method == "DELETE":
                machine.lease = None
                return Answer({"status": "success"})
            body = request.json()
            ttl = body.get("ttl") or request.query.get("ttl") or DEFAULT_TTL
            old = standing(machine)
            machine.lease = Lease(
                nonce=old.nonce if old else secrets.token_hex(6),
                expires_at=int(time.time()) + int(ttl),
                owner="local@example.com",
                description=str(body.get("description") or ""),
                version=machine.instance_id,
            )
            return Answer(_document(machine.lease), 201)


def _document(lease: Lease) -> dict[str, Any]:
    data = {
        "nonce": lease.nonce,
        "expires_at": lease.expires_at,
        "expires": datetime.fromtimestamp(lease.expires_at, UTC).isoformat(),
        "owner": lease.owner,
        "description": lease.description,
        "version": lease.version,
    }
    return {"status": "success", "data": data}
