"""Finding a town by what people type: its id, its name, or owner/name."""

from uuid import UUID

from django.db.models import QuerySet

from towns.changes import validated_scope
from towns.models import Town
from towns.words import Status


class UnknownTown(Exception):
    """No town, or more than one, is meant; the text is one line."""


def find_town(text: str) -> Town:
    """The town of that id, of that name if only one has it, or of `owner/name`.

    Among several of a name (a destroyed town leaves it free) the living one is meant. Raises
    UnknownTown.
    """
    towns = Town.objects.select_related("owner")
    owner, slash, name = text.partition("/")
    if slash:
        found = towns.filter(owner__username=owner, name=name)
    elif (pk := _uuid(text)) is not None:
        found = towns.filter(pk=pk)
    else:
        found = towns.filter(name=text)
    return _the_one(found, text)


def find_scope(text: str) -> str:
    """The scope of a maintenance window, where people may write a town as `town:OWNER/NAME`.

    Raises UnknownTown, and InvalidChange for what is no scope.
    """
    kind, colon, name = text.strip().partition(":")
    if kind == "town" and colon:
        return f"town:{find_town(name).pk}"
    return validated_scope(text)


def _the_one(found: QuerySet[Town], text: str) -> Town:
    candidates = list(found.order_by("-created_at")[:50])
    living = [town for town in candidates if town.status != Status.DESTROYED]
    if len(living) == 1:
        return living[0]
    if len(living or candidates) > 1:
        names = ", ".join(
            f"{town} ({town.pk})" if not living else str(town)
            for town in (living or candidates)[:5]
        )
        raise UnknownTown(f"More than one town is called {text}: {names}. Say which one.")
    if not candidates:
        raise UnknownTown(f"There is no town {text}. `manage.py town list` shows them.")
    return candidates[0]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
