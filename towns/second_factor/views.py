"""The pages of the second factor: give it, set it up, and what to do when the phone is lost."""

import base64
from typing import Any

import django_otp
import segno
from django import forms
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from django_otp.plugins.otp_totp.models import TOTPDevice

from towns.readable import duration
from towns.second_factor import devices

WRONG = (
    "That code is wrong, or was used before. Wait for the next one and type it; if codes stay "
    "wrong, look whether the clock of your phone is right."
)


class CodeForm(forms.Form):
    """A code, with or without the spaces that apps show in it."""

    code = forms.CharField(max_length=30, error_messages={"required": "Type the code."})

    def clean_code(self) -> str:
        """As it is compared."""
        return "".join(str(self.cleaned_data["code"]).split()).lower()


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
@login_required
def second_factor(request: HttpRequest) -> HttpResponse:
    """Ask for a code of the authenticator, or for a recovery code."""
    user, after = _user(request), _next(request)
    if request.user.is_verified() or not (user.is_staff or devices.has_authenticator(user)):  # type: ignore[union-attr]  # django-otp's
        return redirect(after)
    if not devices.has_authenticator(user):
        return redirect(_with_next("second_factor_enrol", after))
    error = ""
    if request.method == "POST":
        device, error = _matched(request, user)
        if device is not None:
            _let_in(request, device)
            return redirect(after)
    status = 422 if error else 200
    context = {"error": error, "next": after}
    return render(request, "dashboard/second_factor.html", context, status=status)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
@login_required
def enrol(request: HttpRequest) -> HttpResponse:
    """Set an authenticator up; where there is one, only who has given it may replace it."""
    user, after = _user(request), _next(request)
    if not user.is_staff:
        return redirect(after)
    if devices.has_authenticator(user) and not request.user.is_verified():  # type: ignore[union-attr]  # django-otp's
        return redirect(_with_next("second_factor", after))
    device, error = devices.new_authenticator(user), ""
    if request.method == "POST":
        error = _why_not(request, user, device)
        if not error:
            device.refresh_from_db()
            _let_in(request, device)
            return _show_codes(request, user, after)
    context = {
        "error": error,
        "next": after,
        "qr": segno.make(device.config_url, error="m").svg_data_uri(
            scale=5, border=3, light="#fff"
        ),
        "secret": _secret(device),
    }
    return render(request, "dashboard/enrol.html", context, status=422 if error else 200)


@never_cache
@require_http_methods(["GET", "POST"])
@login_required
def codes(request: HttpRequest) -> HttpResponse:
    """How many recovery codes are left; a POST makes fresh ones and shows them, once."""
    user = _user(request)
    if not request.user.is_verified():  # type: ignore[union-attr]  # django-otp's
        return redirect(_with_next("second_factor", reverse("second_factor_codes")))
    if request.method == "POST":
        return _show_codes(request, user, _home(user))
    return render(request, "dashboard/codes.html", {"left": devices.codes_left(user)})


def _matched(request: HttpRequest, user: User) -> tuple[Any, str]:
    """The device that has the posted code, or what is wrong with it."""
    form = CodeForm(request.POST)
    if not form.is_valid():
        return None, "Type the code that your authenticator shows now."
    until = devices.locked_until(user)
    if until is not None and until > timezone.now():
        left = duration(max(1, (until - timezone.now()).total_seconds()))
        return None, f"Too many wrong codes. Wait {left}, then type the code that is shown then."
    device = django_otp.match_token(user, form.cleaned_data["code"])
    return device, "" if device else WRONG


def _why_not(request: HttpRequest, user: User, device: TOTPDevice) -> str:
    form = CodeForm(request.POST)
    if not form.is_valid():
        return "Type the code that your authenticator shows now."
    allowed, _facts = device.verify_is_allowed()
    if not allowed:
        return "Too many wrong codes. Wait a moment, then type the code that is shown then."
    return "" if devices.confirm(device, form.cleaned_data["code"]) else WRONG


def _let_in(request: HttpRequest, device: Any) -> None:
    request.session.cycle_key()  # what was known of the session before is worth nothing now
    django_otp.login(request, device)


def _show_codes(request: HttpRequest, user: User, after: str) -> HttpResponse:
    context = {"codes": devices.new_codes(user), "next": after}
    return render(request, "dashboard/codes.html", context)


def _user(request: HttpRequest) -> User:
    assert request.user.is_authenticated
    return User.objects.get(pk=request.user.pk)


def _home(user: User) -> str:
    return reverse("admin:index" if user.is_staff else "dashboard:towns")


def _next(request: HttpRequest) -> str:
    """Where to go afterwards: an address of ours, or the front page."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if ours else "/"


def _with_next(name: str, after: str) -> str:
    return f"{reverse(name)}?{urlencode({'next': after})}"


def _secret(device: TOTPDevice) -> str:
    """The key in groups of four, for who can't scan."""
    text = base64.b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))
