"""`Authorization: Bearer TOKEN`: machine clients, which may act for an owner."""

from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from towns.api.access import Caller
from towns.api.problems import Problem
from towns.api.rates import count_call
from towns.models import ApiToken
from towns.scopes import Scope
from towns.tokens import owner_named, recognise

OWNER_HEADER = "X-Gastown-User"


class TokenAuth(HttpBearer):
    """A token of ours; without the header somebody else may know the caller."""

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        """The caller. Problem: 401 for a token that works no more or never did, 403 for an owner
        whom it may not act for."""
        caller = caller_with(token.strip(), request.headers.get(OWNER_HEADER))
        assert caller.token is not None
        count_call(request, f"token {caller.token.pk}")
        return caller


def caller_with(secret: str, owner: str | None) -> Caller:
    """The caller with that token, acting for its owner, for the one that is named, or for nobody;
    Problem as above."""
    found = recognise(secret, timezone.now())
    if found is None:
        told = "That token is unknown, revoked or expired. Ask an administrator for a new one."
        raise Problem(401, told, "token")
    if found.owner is not None:
        if owner not in (None, found.owner.get_username()):
            told = f"The token {found.name} acts for another owner. Leave {OWNER_HEADER} out."
            raise Problem(403, told, "owner")
        return Caller(found.owner, found)
    if owner is None:
        return Caller(found.user, found)
    return _acting_for(found, owner)


def _acting_for(token: ApiToken, name: str) -> Caller:
    if Scope.OWNERS not in token.scopes:
        lacks = f"The token {token.name} lacks the scope {Scope.OWNERS}"
        told = f"{lacks}: {OWNER_HEADER} is not for it."
        raise Problem(403, told, "scope")
    owner = owner_named(name)
    if owner is None:
        told = f"{OWNER_HEADER} names no owner: staff, closed accounts and odd names are none."
        raise Problem(403, told, "owner")
    return Caller(owner, token)
