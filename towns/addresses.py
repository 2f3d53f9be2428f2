"""Where a town's sandbox answers, what it is called at Fly, and what its machine is given."""

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

from django.conf import settings

from towns.models import Town
from towns.services.r2 import live_prefix
from towns.services.sandbox import SandboxAddress, sandbox_key, sandbox_url

MOUNT_PATH = "/data"
TOWN_METADATA = "gastown_town_id"
OWNER_METADATA = "gastown_owner"
GENERATION_METADATA = "gastown_generation"
NAME_METADATA = "gastown_town"
DRILL_METADATA = "gastown_drill"
"""Marks a drill's throw-away machine, with the drill's id. It is no machine of the town: it has no
`gastown_town_id`, so that nobody adopts it as one."""
_DRILL_NAME = "gastown-drill-"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Addressed(Protocol):
    """What must be known of a town to ask its sandbox: its row, or a part of it."""

    @property
    def pk(self) -> UUID: ...
    @property
    def machine_id(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def key_version(self) -> int: ...


def sandbox_address(town: Addressed, machine_id: str | None = None) -> SandboxAddress:
    """The address and key of a town's sandbox, on its machine or on another one of its own."""
    machine_id, town_id = machine_id or town.machine_id, str(town.pk)
    return SandboxAddress(
        town_id=town_id,
        machine_id=machine_id,
        url=sandbox_url(
            settings.GASTOWN_SANDBOX_URL,
            machine_id=machine_id,
            app=settings.GASTOWN_FLY_APP_NAME,
            town_id=town_id,
            region=town.region,
        ),
        key=sandbox_key(settings.GASTOWN_INTERNAL_API_SECRET, town_id, town.key_version),
    )


def town_key(town: Town) -> str:
    """The town's derived sandbox key (product.md 5.4)."""
    return sandbox_key(settings.GASTOWN_INTERNAL_API_SECRET, str(town.pk), town.key_version)


def machine_name(town: Town) -> str:
    """The one name that a machine of this town has at Fly."""
    return f"gastown-{town.pk}"


def machine_metadata(town: Town) -> dict[str, str]:
    """What tells our machines apart: the town, its owner and name, and which generation it is."""
    return {
        TOWN_METADATA: str(town.pk),
        OWNER_METADATA: town.owner.get_username(),
        GENERATION_METADATA: str(town.generation),
        NAME_METADATA: str(town),
    }


def volume_name(town: Town) -> str:
    """The name of the volume that the town's present generation makes.

    At most 30 characters of `[a-z0-9_]`: the town's id in base 36, then the generation.
    """
    return f"t{_base36(town.pk.int):0>25}_{_base36(town.generation)}"


def town_of_volume(name: str) -> UUID | None:
    """Which town a volume of that name belongs to; None when the name isn't one of ours."""
    body, _, generation = name.removeprefix("t").partition("_")
    return _unpacked(body) if name.startswith("t") and generation else None


def drill_machine_name(drill_id: UUID) -> str:
    """The name at Fly of a drill's throw-away machine."""
    return f"{_DRILL_NAME}{drill_id}"


def drill_volume_name(drill_id: UUID) -> str:
    """The name of a drill's throw-away volume: `d`, then the drill's id in base 36."""
    return f"d{_base36(drill_id.int):0>25}"


def drill_of_volume(name: str) -> UUID | None:
    """Which drill a volume of that name was made for; None when it is none's."""
    return _unpacked(name[1:]) if name.startswith("d") else None


def drill_of_machine(name: str, metadata: Mapping[str, str]) -> UUID | None:
    """Which drill a machine was made for: by its metadata, or by its name while Fly knows only
    that. None when it is none's."""
    text = metadata.get(DRILL_METADATA) or (
        name.removeprefix(_DRILL_NAME) if name.startswith(_DRILL_NAME) else ""
    )
    try:
        return UUID(text)
    except ValueError:
        return None


def generation_of_volume(name: str) -> int | None:
    """Which generation of its town made a volume of that name; None when it isn't one of ours."""
    if town_of_volume(name) is None:
        return None
    try:
        return int(name.partition("_")[2], 36)
    except ValueError:
        return None


def town_of_machine(name: str, metadata: Mapping[str, str]) -> UUID | None:
    """Which town a machine is of: by its metadata, or by its name while Fly knows only that."""
    text = metadata.get(TOWN_METADATA) or (
        name.removeprefix("gastown-") if name.startswith("gastown-") else ""
    )
    try:
        return UUID(text)
    except ValueError:
        return None


def drill_env(town: Town) -> dict[str, str]:
    """The environment of a drill's machine. Holds secrets: never log it.

    DRILL keeps it from backing up and from running agents. Generation 0 may move no pointer, and
    nobody is told of a heartbeat, even if a sandbox didn't know what a drill is.
    """
    return {**machine_env(town), "DRILL": "1", "GENERATION": "0", "CONTROL_PLANE_URL": ""}


def machine_env(town: Town) -> dict[str, str]:
    """The environment that a town's machine gets (sandbox.md). Holds secrets: never log it."""
    return {
        "TOWN_ID": str(town.pk),
        "INTERNAL_API_KEY": town_key(town),
        "R2_ENDPOINT": settings.GASTOWN_R2_ENDPOINT_URL,
        "R2_BUCKET": settings.GASTOWN_R2_BUCKET,
        "R2_ACCESS_KEY": settings.GASTOWN_R2_ACCESS_KEY_ID,
        "R2_SECRET_KEY": settings.GASTOWN_R2_SECRET_ACCESS_KEY,
        "R2_PREFIX": live_prefix(str(town.pk)),
        "GT_HOME": MOUNT_PATH,
        "CONTROL_PLANE_URL": settings.GASTOWN_CONTROL_PLANE_URL,
        "SYNC_INTERVAL_SECONDS": str(settings.GASTOWN_SYNC_INTERVAL_SECONDS),
        "GENERATION": str(town.generation),
        "PORT": "8080",
        "DOLT_PORT": "3307",
    }


def _unpacked(body: str) -> UUID | None:
    """The id that a volume's name holds."""
    try:
        return UUID(int=int(body, 36)) if len(body) == 25 else None
    except ValueError:
        return None


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
