"""The one gate: staff who gave no second factor in this session get nowhere but to the page for it.

It is closed for every address that isn't named here. A bearer token signs nobody in, and isn't
asked.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.models import Device

from towns.api.problems import Problem, problem_response

OPEN = frozenset(
    {
        "accounts/login/",
        "accounts/logout/",
        "accounts/second-factor/",
        "accounts/second-factor/enrol/",
        "admin/login/",
        "admin/logout/",
        "healthz",
        "readyz",
    }
)
"""Routes that staff reach with the password alone."""
FOR_PROGRAMS = ("/api/", "/live/", "/metrics")
MISSING = Problem(403, "Give your second factor first: sign in at /accounts/login/.", "two-factor")


def is_asked_for(user: Any) -> bool:
    """Whether that user needs a second factor."""
    return bool(settings.GASTOWN_STAFF_TWO_FACTOR and user.is_authenticated and user.is_staff)


def is_given(user: User, session: Any) -> bool:
    """Whether it was given in that session, for what has a session but no request."""
    device = Device.from_persistent_id(session.get(DEVICE_ID_SESSION_KEY) or "")
    return device is not None and device.user_id == user.pk and device.confirmed


class SecondFactorMiddleware:
    """Sends staff to the page that asks for it; programs hear a problem."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        """The answer instead of the view's, where the factor is missing."""
        assert request.resolver_match is not None
        if not settings.GASTOWN_STAFF_TWO_FACTOR or request.resolver_match.route in OPEN:
            return None
        user: Any = request.user
        if not is_asked_for(user) or user.is_verified():
            return None
        if request.path.startswith(FOR_PROGRAMS):
            return problem_response(request, MISSING)
        query = urlencode({"next": request.get_full_path()}) if request.method == "GET" else ""
        return redirect(f"{reverse('second_factor')}?{query}".rstrip("?"))
