"""`GET /metrics`."""

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from towns.metrics.collector import FleetCollector

_ASK = (
    "Send the token of GASTOWN_METRICS_TOKEN as `Authorization: Bearer TOKEN`, or sign in as staff "
    "who may see towns.\n"
)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics in Prometheus's text format, for its token or for staff who may see towns."""
    if not (_has_token(request) or _is_staff(request)):
        answer = HttpResponse(_ASK, status=401, content_type="text/plain; charset=utf-8")
        answer["WWW-Authenticate"] = "Bearer"
        return answer
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FleetCollector(timezone.now()))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _has_token(request: HttpRequest) -> bool:
    token: str = settings.GASTOWN_METRICS_TOKEN
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if not token or kind.lower() != "bearer":
        return False
    return secrets.compare_digest(given.strip().encode(), token.encode())


def _is_staff(request: HttpRequest) -> bool:
    return bool(request.user.is_staff and request.user.has_perm("towns.view_town"))
