"""A person's authenticator and recovery codes, kept by django-otp.

It refuses a code that was used before, and after each wrong one lets the next be tried only after
twice the time, whoever tries, so that codes can't be guessed.
"""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django_otp import devices_for_user
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

CODES = 10
"""Recovery codes, each good for one sign-in without the authenticator."""


def has_authenticator(user: User) -> bool:
    """Whether the user has an authenticator that was confirmed."""
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def new_authenticator(user: User) -> TOTPDevice:
    """One that isn't confirmed yet; the same until it is."""
    device, _ = TOTPDevice.objects.get_or_create(
        user=user, confirmed=False, defaults={"name": "authenticator"}
    )
    return device


@transaction.atomic
def confirm(device: TOTPDevice, code: str) -> bool:
    """Take a new authenticator if it shows that code; any other of its owner goes."""
    device = TOTPDevice.objects.select_for_update().get(pk=device.pk)
    if not device.verify_token(code):
        return False
    TOTPDevice.objects.filter(user=device.user).exclude(pk=device.pk).delete()
    device.confirmed = True
    device.save(update_fields=["confirmed"])
    return True


@transaction.atomic
def new_codes(user: User) -> list[str]:
    """Fresh recovery codes; the old ones work no more."""
    device, _ = StaticDevice.objects.get_or_create(user=user, defaults={"name": "recovery codes"})
    device.token_set.all().delete()
    codes = [StaticToken.random_token() for _ in range(CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes


def codes_left(user: User) -> int:
    """How many recovery codes weren't used."""
    return int(StaticToken.objects.filter(device__user=user).count())


def locked_until(user: User) -> datetime | None:
    """Until when no code is looked at, after wrong ones."""
    told = [device.verify_is_allowed() for device in devices_for_user(user)]
    moments = [facts["locked_until"] for allowed, facts in told if not allowed and facts]
    return max(moments, default=None)


@transaction.atomic
def forget(user: User) -> bool:
    """Take a person's second factor away, who makes a new one at the next sign-in; whether there
    was one. Sessions that were opened with it are asked again."""
    removed, _ = TOTPDevice.objects.filter(user=user).delete()
    codes, _ = StaticDevice.objects.filter(user=user).delete()
    return bool(removed or codes)
