"""Who calls, which towns they see, and what they may do with them."""

from dataclasses import dataclass, replace
from uuid import UUID

from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja.security import APIKeyCookie, APIKeyHeader

from towns.api.problems import Problem, not_found
from towns.api.rates import count_call
from towns.history import Actor
from towns.models import ApiToken, Town
from towns.presenting import presentable
from towns.scopes import Scope, scope_for, scope_for_operation
from towns.words import OperationKind

OWNER_MAY = frozenset(OperationKind) - {
    OperationKind.PROVISION,
    OperationKind.RECOVER,
    OperationKind.DRILL,
}
"""What owners may ask for their own towns; staff need the permission of each."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever is signed in, or a machine with a token: then `user` is the owner whom it acts for,
    or else its own account. Staff who own a town count as its owner."""

    user: User
    token: ApiToken | None = None

    @property
    def actor(self) -> Actor:
        """The caller as the history names them."""
        person = Actor.person(self.user)
        if self.token is None or self.is_machine:
            return person
        return replace(person, name=f"{person.name} via {self.token.name}"[:150])

    @property
    def is_machine(self) -> bool:
        """Whether it is a machine that acts for nobody but itself."""
        return self.token is not None and self.token.user_id == self.user.pk

    def owns(self, town: Town) -> bool:
        """Whether it is the caller's own town."""
        return town.owner_id == self.user.pk

    def holds(self, permission: str) -> bool:
        """Whether the caller is staff with a permission of the app, such as `start_town`, or a
        machine with the scope that stands for it."""
        if self.token is not None:
            return self.is_machine and scope_for(permission) in self.token.scopes
        return self.user.is_staff and self.user.has_perm(f"towns.{permission}")

    def require(self, permission: str) -> None:
        """Raise a 403 unless the caller is staff with the permission."""
        if self.holds(permission):
            return
        if self.is_machine:
            scope = scope_for(permission)
            if scope is None:
                raise Problem(403, "Only people may do that: no token can.", "scope")
            self.needs(scope)
        if self.user.is_staff:
            raise Problem(
                403,
                f"Your account lacks the permission towns.{permission}. Ask an administrator.",
                "permission",
            )
        raise Problem(403, "Only staff may do that.", "permission")

    def needs(self, scope: Scope | None) -> None:
        """Raise a 403 if the caller is a token that lacks the scope, whomever it acts for."""
        if self.token is not None and scope not in self.token.scopes:
            told = f"The token {self.token.name} lacks the scope {scope}. Use one that has it."
            raise Problem(403, told, "scope")

    def require_for(self, town: Town, kind: OperationKind) -> None:
        """Raise a 403 unless the caller may have this done to this town."""
        self.needs(scope_for_operation(kind))
        if not (kind in OWNER_MAY and self.owns(town)):
            self.require(f"{kind}_town")


class ApiRequest(HttpRequest):
    """A request that has passed `SessionAuth`."""

    auth: Caller


class SessionAuth(APIKeyCookie):
    """Django's session, with its CSRF check on unsafe methods."""

    param_name = "sessionid"

    def __call__(self, request: HttpRequest) -> Caller | None:
        """The caller; None, which is a 401, comes before the CSRF check's 403."""
        if not request.user.is_authenticated:
            return None
        self._get_key(request)  # raises on a missing or wrong CSRF token
        count_call(request, f"user {request.user.pk}")
        return Caller(request.user)

    def authenticate(self, request: HttpRequest, key: str | None) -> None:
        """Not used: the session middleware has read the cookie."""
        raise NotImplementedError


class SandboxKey(APIKeyHeader):
    """The header that a sandbox's key comes in. The view compares it with its town's."""

    param_name = "x-internal-api-key"

    def authenticate(self, request: HttpRequest, key: str | None) -> str:
        """The key as it came; without one a 403, as for a wrong one."""
        if not key:
            raise forbidden()
        return key


class SandboxRequest(HttpRequest):
    """A request that has passed `SandboxKey`; `auth` is the key as it came."""

    auth: str


def forbidden() -> Problem:
    """The one answer to a missing key, a wrong key and an unknown town."""
    return Problem(403, "Forbidden.")


def visible_town(caller: Caller, town_id: UUID) -> Town:
    """A town that the caller may see; a 404 for others, the same as for no town at all."""
    caller.needs(Scope.READ)
    town = presentable(Town.objects.filter(pk=town_id)).first()
    if town is not None and caller.owns(town):
        return town
    if caller.user.is_staff or caller.is_machine:
        caller.require("view_town")
    elif town is not None:
        raise not_found()
    if town is None:
        raise not_found()
    return town
