"""How the admin looks and what its side bar leads to (django-unfold's settings)."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

Item = dict[str, Any]


def _item(title: str, icon: str, model: str, **more: Any) -> Item:
    """An entry that leads to a model's list, for those who may see it."""
    app, _, name = model.partition(".")

    def may_see(request: HttpRequest) -> bool:
        return request.user.has_perm(f"{app}.view_{name}")

    link = reverse_lazy(f"admin:{app}_{name}_changelist")
    return {"title": title, "icon": icon, "link": link, "permission": may_see, **more}


def _group(title: str, *items: Item) -> dict[str, Any]:
    return {"title": title, "separator": True, "items": list(items)}


def no_colours(_request: HttpRequest) -> dict[str, Any]:
    """They are in a style sheet of ours: the theme would write them into each page."""
    return {}


def account_links(request: HttpRequest) -> list[Item]:
    """What the menu of who is signed in leads to, besides the way out."""
    links = [{"title": "Second factor", "link": reverse_lazy("second_factor:manage")}]
    if not settings.GASTOWN_STAFF_TWO_FACTOR:
        links = []
    if request.user.is_authenticated and request.user.has_usable_password():
        links.append({"title": "Change password", "link": reverse_lazy("admin:password_change")})
    return links


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Gastown Ops",
    "SITE_HEADER": "Gastown Ops",
    "SITE_SYMBOL": "location_city",
    "SHOW_HISTORY": False,  # the history of a town is its events
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "towns.admin.overview.overview_context",
    "COLORS": no_colours,
    "ACCOUNT": {"navigation": account_links},
    "STYLES": [lambda request: static("towns/theme.css")],
    "SCRIPTS": [lambda request: static("towns/theme.js")],
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("towns/icon.svg")}
    ],
    "SIDEBAR": {
        "show_search": False,
        "navigation": [
            {
                "items": [
                    {
                        "title": "Overview",
                        "icon": "monitoring",
                        "link": reverse_lazy("admin:index"),
                    },
                    _item("Towns", "location_city", "towns.town"),
                    _item(
                        "Alerts",
                        "notifications",
                        "towns.alert",
                        badge="towns.admin.overview.open_alerts",
                    ),
                ]
            },
            _group(
                "Automation",
                _item("Operations", "play_circle", "towns.operation"),
                _item("Bulk work", "checklist", "towns.bulkrun"),
                _item("Sweeps", "radar", "towns.sweep"),
                _item("Freezes", "ac_unit", "towns.freeze"),
                _item("Maintenance windows", "calendar_month", "towns.maintenancewindow"),
                _item("Replays", "replay", "towns.replayrun"),
            ),
            _group(
                "Data",
                _item("Backups", "backup", "towns.backup"),
                _item("Restore drills", "verified", "towns.drill"),
                _item("Orphans", "help_center", "towns.orphan"),
            ),
            _group(
                "History",
                _item("Events", "history", "towns.lifecycleevent"),
                _item("Health checks", "ecg_heart", "towns.healthcheck"),
                _item("Health by the hour", "schedule", "towns.healthhour"),
                _item("Deliveries", "outgoing_mail", "towns.delivery"),
                _item("Webhook deliveries", "outbox", "towns.webhookdelivery"),
            ),
            _group(
                "Access",
                _item("Users", "person", "auth.user"),
                _item("Groups", "group", "auth.group"),
                _item("API tokens", "key", "towns.apitoken"),
                _item("Webhooks", "webhook", "towns.webhookendpoint"),
                _item("Lock-outs", "lock", "axes.accessattempt"),
            ),
            _group(
                "Task queue",
                _item("Schedules", "event_repeat", "django_q.schedule"),
                _item("Queued tasks", "pending_actions", "django_q.ormq"),
                _item("Failed tasks", "error", "django_q.failure"),
            ),
        ],
    },
}
