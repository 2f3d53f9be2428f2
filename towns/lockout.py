"""What somebody is told who typed a wrong password or code too often (django-axes counts)."""

from collections.abc import Mapping
from ipaddress import IPv6Network, ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from towns.readable import duration

NOWHERE = "0.0.0.0"
"""Stands for every address that isn't told: those who come from there count together."""


def client_address(request: HttpRequest) -> str:
    """From where a request comes."""
    return address_told(request.headers, request.META.get("REMOTE_ADDR", ""))


def address_told(headers: Mapping[str, str], peer: str) -> str:
    """From where somebody comes: what the proxy's header says, if one is named; else whom we talk
    to. Without a proxy that sets the header anybody could write anything there. Of IPv6 it is the
    /64: a subscriber has that many addresses to try from."""
    header: str = settings.GASTOWN_CLIENT_IP_HEADER
    told = headers.get(header, "").strip() if header else ""
    return _subscriber(told) or _subscriber(peer) or NOWHERE


def _subscriber(text: str) -> str:
    """Whose an address is; "" for what is none: the database could neither keep nor find it."""
    try:
        known = ip_address(text)
    except ValueError:
        return ""
    if known.version == 4:
        return str(known)
    if known.ipv4_mapped is not None:  # as a server that listens on both kinds has it
        return str(known.ipv4_mapped)
    return str(IPv6Network((int(known), 64), strict=False).network_address)


def locked_out(request: HttpRequest, response: Any, credentials: Any, **_: Any) -> HttpResponse:
    """429: for how long, and who can end it sooner. It says the same for a name that nobody has."""
    seconds = settings.AXES_COOLOFF_TIME.total_seconds()
    context = {"wait": duration(seconds)}
    answer = render(request, "dashboard/locked_out.html", context, status=429)
    answer["Retry-After"] = str(int(seconds))
    return answer
