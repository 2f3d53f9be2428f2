"""What is posted about an event; the same at every try, as the event never changes.

{"type": "town.stop_succeeded", "timestamp": "2026-02-17T12:00:00Z",
 "data": {"id": 4711, "town": …, "town_name": "ann/mill", "owner": "ann", and the rest as in
          GET /api/v1/towns/{id}/events}}
"""

import json

from towns.models import LifecycleEvent
from towns.presenting import iso


def payload(event: LifecycleEvent) -> bytes:
    """The JSON document. The event's town and its owner have to be read with it."""
    town = event.town
    document = {
        "type": f"town.{event.kind}",
        "timestamp": iso(event.at),
        "data": {
            "id": event.pk,
            "town": str(town.pk),
            "town_name": str(town),
            "owner": town.owner.get_username(),
            "at": iso(event.at),
            "kind": event.kind,
            "from_status": event.from_status,
            "to_status": event.to_status,
            "actor": event.actor,
            "automatic": event.automatic,
            "reason": event.reason,
            "operation": None if event.operation_id is None else str(event.operation_id),
            "data": event.data,
        },
    }
    return json.dumps(document, separators=(",", ":")).encode()
