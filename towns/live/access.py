"""Which topics somebody may listen to."""

from collections.abc import Collection
from uuid import UUID

from django.contrib.auth.models import AnonymousUser, User

from towns.api.access import Caller
from towns.api.problems import Problem, not_found
from towns.live.stamps import FLEET, town_topic
from towns.models import Town

MOST_TOWNS = 100
Person = User | AnonymousUser


def topics_for(user: Person, towns: Collection[str], *, fleet: bool) -> frozenset[str]:
    """The topics that were asked for. Problem (401, 403, 404, 422) says what is refused, and why.

    Owners may listen to their own towns; staff who may see towns to all, and to the fleet.
    """
    if not isinstance(user, User) or not user.is_active:
        raise Problem(401, "Sign in first.")
    ids = _ids(towns)
    if not ids and not fleet:
        raise Problem(422, "Say what to listen to: town=ID (also several), or fleet=1.", "invalid")
    sees_all = Caller(user).holds("view_town")
    if fleet and not sees_all:
        Caller(user).require("view_town")
    seen = Town.objects.filter(pk__in=ids)
    if not sees_all:
        seen = seen.filter(owner=user)
    if ids - set(seen.values_list("pk", flat=True)):
        raise not_found()
    return frozenset(map(town_topic, ids)) | (frozenset([FLEET]) if fleet else frozenset())


def _ids(texts: Collection[str]) -> set[UUID]:
    try:
        ids = {UUID(text) for text in texts}
    except ValueError:
        raise Problem(422, "town must be the id of a town.", "invalid") from None
    if len(ids) > MOST_TOWNS:
        raise Problem(422, f"Listen to at most {MOST_TOWNS} towns at once.", "invalid")
    return ids
