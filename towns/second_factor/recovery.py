"""Recovery codes: each works once in place of the authenticator. Only their hashes are kept."""

import secrets

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.crypto import salted_hmac
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken

CODES, DIGITS, _GROUP = 10, 12, 4
_KEPT_LENGTH = 16
"""Characters of a hash that django-otp's column holds: 64 bits, more than a code has."""


def hash_of(user_id: int, code: str) -> str:
    """What is kept of a code. It hangs on SECRET_KEY: a copy of the database alone is no use."""
    keyed = salted_hmac("towns.second_factor.recovery", f"{user_id}:{code}", algorithm="sha256")
    return keyed.hexdigest()[:_KEPT_LENGTH]


@transaction.atomic
def renew(user: User) -> list[str]:
    """Make new codes in place of all that the user had; returns them as they are to be shown."""
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery codes", confirmed=True)
    codes = [f"{secrets.randbelow(10**DIGITS):0{DIGITS}}" for _ in range(CODES)]
    StaticToken.objects.bulk_create(
        StaticToken(device=device, token=hash_of(user.pk, code)) for code in codes
    )
    return [
        " ".join(code[start : start + _GROUP] for start in range(0, DIGITS, _GROUP))
        for code in codes
    ]


def left(user: User) -> int:
    """How many codes the user still has."""
    count: int = StaticToken.objects.filter(device__user=user).count()
    return count
