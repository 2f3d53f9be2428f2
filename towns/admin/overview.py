"""The admin's front page: the overview of the fleet."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from towns.models import Alert
from towns.overview.reading import read_overview

BADGE_MOST = 99


def overview_context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the page needs (unfold's DASHBOARD_CALLBACK); nothing for those who may see no town."""
    if request.user.has_perm("towns.view_town"):
        context["overview"] = read_overview(timezone.now())
    return context


def open_alerts(request: HttpRequest) -> str:
    """The badge beside the entry of alerts; "", and so no badge, where none is open."""
    if not request.user.has_perm("towns.view_alert"):
        return ""
    count = Alert.objects.filter(resolved_at=None)[: BADGE_MOST + 1].count()
    if not count:
        return ""
    return f"{BADGE_MOST}+" if count > BADGE_MOST else str(count)
