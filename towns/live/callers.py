"""Who opens a WebSocket, as its handshake says: a machine with a token, or somebody signed in."""

from collections.abc import Mapping
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.utils.datastructures import CaseInsensitiveMapping

from towns.api.access import Caller
from towns.api.bearer import OWNER_HEADER, caller_with, counted_as, known_token
from towns.api.problems import SENTENCES, Problem
from towns.api.rates import count
from towns.lockout import address_told
from towns.second_factor.gate import admits

Scope = Mapping[str, Any]


def caller_of(scope: Scope, *, opening: bool) -> Caller:
    """The caller as they are at this moment; opening one counts as a call of the API. Problem as
    of `towns.api.bearer`, and 401 for nobody."""
    headers = headers_of(scope)
    secret = bearer_in(headers)
    if secret is not None:
        peer, _ = scope.get("client") or ("", 0)
        token = known_token(secret, address_told(headers, peer))
        if opening:
            count(counted_as(token))
        return caller_with(token, headers.get(OWNER_HEADER))
    session = _session(scope["session"].session_key)
    user: Any = get_user(SimpleNamespace(session=session))  # type: ignore[arg-type]  # all it needs
    if not (user.is_authenticated and admits(session, user)):
        raise Problem(401, SENTENCES[401])
    if opening:
        count(f"user {user.pk}")
    return Caller(user)


def headers_of(scope: Scope) -> Mapping[str, str]:
    """The headers of a handshake, by names in any case."""
    told = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    return CaseInsensitiveMapping(told)


def bearer_in(headers: Mapping[str, str]) -> str | None:
    """The bearer token, if one is sent: then no cookie is looked at."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def _session(key: str | None) -> Any:
    """The session as it is now: whoever signs out or changes the password ends it."""
    return import_module(settings.SESSION_ENGINE).SessionStore(key)
