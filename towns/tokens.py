"""Making, revoking and recognising tokens of the API."""

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q

from towns.changes import InvalidChange
from towns.history import Actor
from towns.models import ApiToken
from towns.scopes import Scope

PREFIX = "gto_"
"""Begins every token, so that one that leaked is recognised for what it is."""
ACCOUNT = "token:"
"""Begins the name of a token's own account; no owner's name may."""
NOTED_EVERY = timedelta(minutes=1)
"""When a token was last used is written no more often."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,58}[a-z0-9]|[a-z0-9]")
_OWNER = re.compile(r"[^\x00-\x20\x7f/]{1,150}")


@dataclass(frozen=True, slots=True)
class Made:
    """A new token, and its secret, which nobody can read again."""

    token: ApiToken
    secret: str

    def __repr__(self) -> str:
        return f"Made({self.token.name})"


def create_token(
    name: str,
    scopes: Collection[str],
    *,
    actor: Actor,
    now: datetime,
    expires_at: datetime | None = None,
    owner: str | None = None,
) -> Made:
    """Make one; with an `owner` it acts for that one alone. InvalidChange says which of the wishes
    can't be."""
    if not _NAME.fullmatch(name):
        told = "A token's name has 1 to 60 lower-case letters, digits, and . _ - in between."
        raise InvalidChange("name", told)
    known = [scope.value for scope in Scope]
    unknown = sorted(set(scopes) - set(known))
    if unknown or not scopes:
        wrong = f"There is no scope {unknown[0]}." if unknown else "A token needs a scope."
        raise InvalidChange("scopes", f"{wrong} There are: {', '.join(known)}.")
    if expires_at is not None and expires_at <= now:
        raise InvalidChange("expires_at", "That time is over: the token would never work.")
    tied = None if owner is None else owner_named(owner)
    if owner is not None and tied is None:
        told = f"{owner[:150]!r} is no owner: staff, closed accounts and odd names are none."
        raise InvalidChange("owner", told)
    if tied is not None and Scope.OWNERS in scopes:
        told = f"A token of one owner acts for nobody else: leave out {Scope.OWNERS}, or the owner."
        raise InvalidChange("scopes", told)
    secret = PREFIX + secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            user = User.objects.create_user(f"{ACCOUNT}{name}")  # without a password
            token = ApiToken.objects.create(
                name=name,
                user=user,
                owner=tied,
                start=secret[:8],
                digest=_digest(secret),
                scopes=sorted(set(scopes)),
                created_at=now,
                created_by=actor.name,
                expires_at=expires_at,
            )
    except IntegrityError:
        told = f"There is a token {name}, in use or revoked. Choose another name."
        raise InvalidChange("name", told) from None
    return Made(token, secret)


def made_by(name: str, now: datetime) -> list[ApiToken]:
    """The tokens that somebody made and that still work: they may have kept the secrets."""
    found = ApiToken.objects.select_related("user", "owner").filter(created_by=name)
    return [token for token in found if works(token, now)]


def revoke_token(name: str, *, actor: Actor, now: datetime) -> bool:
    """Have it work no more, at once and for ever; False if there is no such one that works."""
    mine = ApiToken.objects.filter(name=name, revoked_at=None)
    return mine.update(revoked_at=now, revoked_by=actor.name) == 1


def recognise(secret: str, now: datetime) -> ApiToken | None:
    """The token with that secret, noted as used; None if there is none, or it works no more."""
    token = ApiToken.objects.select_related("user", "owner").filter(digest=_digest(secret)).first()
    if token is None or not works(token, now):
        return None
    stale = now - NOTED_EVERY
    if token.last_used_at is None or token.last_used_at <= stale:
        due = Q(last_used_at=None) | Q(last_used_at__lte=stale)
        ApiToken.objects.filter(due, pk=token.pk).update(last_used_at=now)
    return token


def works(token: ApiToken, now: datetime) -> bool:
    """Whether it is neither revoked nor expired, and its account is open, and its owner's if it has
    one."""
    expired = token.expires_at is not None and token.expires_at <= now
    open_still = token.user.is_active and (token.owner is None or is_owner(token.owner))
    return token.revoked_at is None and not expired and open_still


def owner_named(username: str) -> User | None:
    """The owner of that name, made without a password on first use (product.md, section 2); None
    for a name that no owner can have, for staff, and for closed accounts."""
    if not _OWNER.fullmatch(username) or username.startswith(ACCOUNT):
        return None
    user, _ = User.objects.get_or_create(username=username, defaults={"password": "!"})
    return user if is_owner(user) else None


def is_owner(user: User) -> bool:
    """Whether somebody may be acted for."""
    return user.is_active and not user.is_staff


def _digest(secret: str) -> str:
    """A long random secret needs no slow hash: there is nothing to guess."""
    return sha256(secret.encode()).hexdigest()
