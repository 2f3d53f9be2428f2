"""`Authorization: Bearer TOKEN`: machine clients, which may act for an owner."""

from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from towns.api.access import Caller
from towns.api.problems import Problem
from towns.api.rates import count_call, count_wrong_token
from towns.lockout import client_address
from towns.models import ApiToken
from towns.scopes import Scope
from towns.tokens import owner_named, recognise

OWNER_HEADER = "X-Gastown-User"


class TokenAuth(HttpBearer):
    """A token of ours; without the header somebody else may know the caller."""

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        """The caller. Problem: 401 for a token that works no more or never did, 429 when it asks
        too often, 403 for an owner whom it may not act for."""
        found = known_token(token, client_address(request))
        count_call(request, counted_as(found))
        return caller_with(found, request.headers.get(OWNER_HEADER))


def known_token(secret: str, address: str) -> ApiToken:
    """The token with that secret. Problem 401 if there is none that works; 429 if too many such
    come from that address."""
    found = recognise(secret.strip(), timezone.now())
    if found is None:
        count_wrong_token(address)
        told = "That token is unknown, revoked or expired. Ask an administrator for a new one."
        raise Problem(401, told, "token")
    return found


def counted_as(token: ApiToken) -> str:
    """Whose calls a token's are: its own alone, whomever it acts for."""
    return f"token {token.pk}"


def caller_with(found: ApiToken, owner: str | None) -> Caller:
    """The caller with a token, acting for its owner, for the one that is named, or for nobody.
    Problem 403 as above.

    The named one is made if nobody has the name: count the call first.
    """
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
