"""Who has given a password and not yet a code: in a session that nobody is signed in to."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Self

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.middleware.csrf import rotate_token
from django.utils.crypto import constant_time_compare

KEPT = timedelta(minutes=10)
_IN_SESSION = "second_factor_pending"


@dataclass(frozen=True, slots=True)
class Pending:
    """Someone half-way in: `next` is where they go, `at` when they gave their password."""

    user_id: int
    backend: str
    hash: str
    next: str
    at: float

    @classmethod
    def begin(cls, request: HttpRequest, user: User, next_url: str, now: datetime) -> Self:
        """Note that a password was right. The session is a new one: an address that somebody else
        knows it by leads nowhere."""
        backend: str = user.backend  # `authenticate` has set it
        made = cls(user.pk, backend, user.get_session_auth_hash(), next_url, now.timestamp())
        request.session.flush()
        rotate_token(request)
        request.session[_IN_SESSION] = asdict(made)
        return made

    @classmethod
    def read(cls, request: HttpRequest) -> Self | None:
        """What was noted, if anything."""
        noted = request.session.get(_IN_SESSION)
        return None if noted is None else cls(**noted)

    def user(self, now: datetime) -> User | None:
        """Who it is; None when it took too long, or if account or password changed since."""
        if now.timestamp() - self.at > KEPT.total_seconds():
            return None
        user = User.objects.filter(pk=self.user_id, is_active=True).first()
        if user is None or not constant_time_compare(self.hash, user.get_session_auth_hash()):
            return None
        return user


def forget(request: HttpRequest) -> None:
    """Nobody is half-way in any more."""
    request.session.pop(_IN_SESSION, None)
