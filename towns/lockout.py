"""What somebody is told who typed a wrong password or code too often (django-axes counts)."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from towns.readable import duration


def client_address(request: HttpRequest) -> str:
    """From where a request comes."""
    return address_told(request.headers, request.META.get("REMOTE_ADDR", ""))


def address_told(headers: Mapping[str, str], peer: str) -> str:
    """From where somebody comes: what the proxy's header says, if one is named; else whom we talk
    to. Without a proxy that sets the header anybody could write anything there."""
    header: str = settings.GASTOWN_CLIENT_IP_HEADER
    told = headers.get(header, "").strip() if header else ""
    return told[:45] or peer


def locked_out(request: HttpRequest, response: Any, credentials: Any, **_: Any) -> HttpResponse:
    """429: for how long, and who can end it sooner. It says the same for a name that nobody has."""
    seconds = settings.AXES_COOLOFF_TIME.total_seconds()
    context = {"wait": duration(seconds)}
    answer = render(request, "dashboard/locked_out.html", context, status=429)
    answer["Retry-After"] = str(int(seconds))
    return answer
