"""What staff do: their authenticator app, and the two steps of signing in."""

import time
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

LOGIN, ADMIN_LOGIN = "/accounts/login/", "/admin/login/"
MANAGE = "/accounts/second-factor/"
CODE, SET_UP = f"{MANAGE}code/", f"{MANAGE}set-up/"
DOORS = (LOGIN, ADMIN_LOGIN)


def enrolled(user: User) -> TOTPDevice:
    """The user's authenticator, as it is after enrolling."""
    device: TOTPDevice = TOTPDevice.objects.create(user=user, name="authenticator", confirmed=True)
    return device


def code_of(key: str, later: int = 0) -> str:
    """What the app shows for a key; `later`: so many half minutes from now."""
    totp = TOTP(bytes.fromhex(key))
    totp.time = time.time() + 30 * later
    return f"{totp.token():06}"


def wrong_code(key: str) -> str:
    """A code that the app shows neither now, nor a little earlier or later."""
    shown = {code_of(key, later) for later in range(-3, 4)}
    return next(code for code in (f"{n:06}" for n in range(8)) if code not in shown)


def give_password(client: Client, user: User, door: str = LOGIN, next_url: str = "") -> Any:
    """The first step."""
    form = {"username": user.username, "password": "pw", "next": next_url}
    return client.post(door, form)


def give_code(client: Client, code: str) -> Any:
    """The second step."""
    return client.post(CODE, {"code": code})


def signed_in(user: User, later: int = 0) -> Client:
    """Somebody who has given both."""
    client = Client()
    device = TOTPDevice.objects.get(user=user)
    give_password(client, user)
    assert give_code(client, code_of(device.key, later)).status_code == 302
    return client


def is_in(client: Client) -> bool:
    """Whether the admin lets somebody in."""
    return client.get("/admin/").status_code == 200


def wait_it_out(user: User) -> None:
    """As if long had passed since the last wrong code."""
    long_ago = timezone.now() - timedelta(days=1)
    for model in (TOTPDevice, StaticDevice):
        model.objects.filter(user=user).update(throttling_failure_timestamp=long_ago)
