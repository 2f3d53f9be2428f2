"""Enrolling an authenticator app, replacing it, taking it away; the account's history tells."""

from base64 import b32encode
from dataclasses import dataclass
from typing import Self

import segno
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import transaction
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp.util import random_hex

from towns.second_factor import recovery


class AlreadyEnrolled(Exception):
    """Somebody enrolled for this account meanwhile: only with that authenticator is it replaced."""


class TakenAway(Exception):
    """It was reset meanwhile: whoever was about to replace it begins with the password."""


def authenticator_of(user: User) -> TOTPDevice | None:
    """The user's authenticator, if there is one."""
    return TOTPDevice.objects.filter(user=user, confirmed=True).first()


@dataclass(frozen=True, slots=True)
class Offer:
    """A new key for a user, before they have shown that their app has it."""

    user: User
    key: str

    @classmethod
    def new(cls, user: User) -> Self:
        """With a key by chance."""
        return cls(user, random_hex(20))

    @property
    def address(self) -> str:
        """What apps read: https://github.com/google/google-authenticator/wiki/Key-Uri-Format."""
        address: str = TOTPDevice(user=self.user, key=self.key).config_url
        return address

    @property
    def typed(self) -> str:
        """The key, for who types it."""
        text = b32encode(bytes.fromhex(self.key)).decode()
        return " ".join(text[start : start + 4] for start in range(0, len(text), 4))

    @property
    def picture(self) -> str:
        """The address as a QR code: an SVG with nothing in it that the CSP would refuse."""
        drawn = segno.make_qr(self.address, error="m")
        return drawn.svg_inline(scale=5, border=4, dark="#000", light="#fff", svgclass="qr")

    def device(self, code: str, now: float) -> TOTPDevice | None:
        """The unsaved authenticator if the code is right; the code is used up with it."""
        totp = TOTP(bytes.fromhex(self.key))
        totp.time = now
        if not totp.verify(int(code), tolerance=1):
            return None
        return TOTPDevice(
            user=self.user,
            key=self.key,
            name="authenticator",
            confirmed=True,
            drift=totp.drift,
            last_t=totp.t(),
        )


@transaction.atomic
def enrol(device: TOTPDevice, *, replacing: bool) -> list[str]:
    """Make it the user's only authenticator; returns new recovery codes, unless they keep theirs.

    What was signed in with an authenticator before is signed in no more. Raises AlreadyEnrolled,
    TakenAway.
    """
    user = _locked(device.user_id)
    before = TOTPDevice.objects.filter(user=user)
    if before.filter(confirmed=True).exists() != replacing:
        raise TakenAway if replacing else AlreadyEnrolled
    before.delete()
    device.save()
    codes = [] if replacing and recovery.left(user) else recovery.renew(user)
    _record(user, user, "Replaced the authenticator." if replacing else "Enrolled.")
    return codes


@transaction.atomic
def renew_codes(user: User) -> list[str]:
    """New recovery codes in place of the old ones."""
    _locked(user.pk)
    _record(user, user, "Made new recovery codes.")
    return recovery.renew(user)


@transaction.atomic
def reset(user: User, by: User | None) -> bool:
    """Take away authenticator and recovery codes: whoever knows the password enrols anew. `by` is
    None for who is at a shell. Returns whether there was anything."""
    _locked(user.pk)
    gone = [model.objects.filter(user=user).delete()[0] for model in (TOTPDevice, StaticDevice)]
    if not any(gone):
        return False
    _record(user, by or user, "Reset." if by else "Reset from the server's shell.")
    return True


def _locked(user_id: int) -> User:
    """The user, whose second factor nobody else changes until this is done."""
    return User.objects.select_for_update().get(pk=user_id)


def _record(user: User, by: User, what: str) -> None:
    LogEntry.objects.log_actions(
        by.pk, [user], CHANGE, change_message=f"Second factor: {what}", single_object=True
    )
