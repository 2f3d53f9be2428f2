"""Which machines and volumes a restore drill made, and which drills are under way.

A drill's machine carries `gastown_drill=<operation id>`; its volume is named `d`, then an id in
base 36. What a drill leaves behind holds only a copy of a backup.
"""

import re
from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q

from towns.addresses import DRILL_METADATA
from towns.models import Operation
from towns.services.fly_types import Machine, Volume
from towns.words import OperationState

_VOLUME = re.compile(r"d([0-9a-z]{25})(?:_[0-9a-z]+)?")


def drill_of_machine(machine: Machine) -> str:
    """The operation id of the drill that made a machine; empty when none did."""
    return machine.metadata.get(DRILL_METADATA, "")


def drill_of_volume(volume: Volume) -> str:
    """The id in the name of a drill's volume; empty when no drill made it."""
    matched = _VOLUME.fullmatch(volume.name)
    if matched is None:
        return ""
    try:
        return str(UUID(int=int(matched[1], 36)))
    except ValueError:  # more than an id can be
        return ""


def drills_under_way(drills: Iterable[str]) -> set[str]:
    """Those of these ids that an open operation has, or its town; one statement."""
    ids = list(filter(None, map(_uuid, set(drills))))
    if not ids:
        return set()
    held = Operation.objects.filter(Q(pk__in=ids) | Q(town__in=ids), state=OperationState.OPEN)
    return {str(one) for pair in held.values_list("pk", "town_id") for one in pair}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
