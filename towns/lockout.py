"""What somebody is told who typed a wrong password too often (django-axes counts)."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from towns.readable import duration


def locked_out(request: HttpRequest, response: Any, credentials: Any, **_: Any) -> HttpResponse:
    """429: for how long, and who can end it sooner. It says the same for a name that nobody has."""
    seconds = settings.AXES_COOLOFF_TIME.total_seconds()
    context = {"wait": duration(seconds)}
    answer = render(request, "dashboard/locked_out.html", context, status=429)
    answer["Retry-After"] = str(int(seconds))
    return answer
