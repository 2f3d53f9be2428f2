"""Whether a code is right. Wrong ones count, in two ways:

- django-axes counts them with the wrong passwords: a name is locked for who tries from an address,
  and a right password alone forgets none of them;
- django-otp has the next try wait, twice as long each time, from whatever address it comes.
"""

from dataclasses import dataclass
from datetime import datetime

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_credentials
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.http import HttpRequest
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from towns.second_factor.recovery import DIGITS, hash_of


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a code. Not right and with a time: it was not looked at, come back then."""

    right: bool = False
    wait_until: datetime | None = None
    locked_out: bool = False
    recovery: bool = False
    """Whether it is one of the recovery codes."""


def check(request: HttpRequest, user: User, code: str) -> Checked:
    """Look at a code of 6 digits (authenticator) or 12 (recovery code), and use it up.

    When a name is locked out, django-axes' middleware answers the request, whatever the view says.
    """
    who = get_credentials(username=user.get_username())
    if not AxesProxyHandler.is_allowed(request, who):
        request.axes_locked_out = True  # type: ignore[attr-defined]  # axes' middleware reads these
        request.axes_credentials = who  # type: ignore[attr-defined]
        return Checked(locked_out=True)
    checked = _use(user, code)
    if not checked.right and checked.wait_until is None:
        user_login_failed.send(sender=__name__, credentials=who, request=request)
    return checked


@transaction.atomic
def _use(user: User, code: str) -> Checked:
    """Under the row's lock, so that the same code sent twice at once is right only once."""
    recovery = len(code) == DIGITS
    model = StaticDevice if recovery else TOTPDevice
    device = model.objects.select_for_update().filter(user=user, confirmed=True).first()
    if device is None:
        return Checked()
    allowed, why = device.verify_is_allowed()
    if not allowed:
        return Checked(wait_until=why["locked_until"])
    right = device.verify_token(hash_of(user.pk, code) if recovery else code)
    return Checked(right=right, recovery=recovery)
