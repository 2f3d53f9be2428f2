"""What each deed in the admin answers to viewer, operator and admin: a table to be read.

`+` says that it changed something; without one, it changed nothing: a page asks first (200), or a
list that has no such action for them is shown again (200). Everybody else is sent to sign in. A
word in braces is an id of the scene.
"""

Deed = tuple[str, dict[str, str], str]
TWICE = {"password1": "x9-Long-enough", "password2": "x9-Long-enough", "usable_password": "true"}
BEGIN = {"reason": "x", "canaries": "0", "at_once": "5", "failures_allowed": "2"}


def _ticked(action: str, thing: str) -> dict[str, str]:
    """What a list sends for one row and an action."""
    return {"action": action, "_selected_action": f"{{{thing}}}", "index": "0"}


def _act(**more: str) -> dict[str, str]:
    """What the page before an action on towns sends."""
    return {"towns": "{towns.town}", "confirmed": "yes", **more}


DEEDS: list[Deed] = [
    # path below /admin/, what is sent, answers to: viewer operator admin
    ("towns/town/act/start/", _act(), "403 302 302"),
    ("towns/town/act/stop/", _act(), "403 302+ 302+"),
    ("towns/town/act/restart/", _act(), "403 302+ 302+"),
    ("towns/town/act/recover/", _act(), "403 302 302"),
    ("towns/town/act/backup/", _act(), "403 302+ 302+"),
    ("towns/town/act/drill/", _act(), "403 302 302"),
    ("towns/town/act/sweep/", _act(), "403 302 302"),
    ("towns/town/act/restore/", _act(), "403 302 302"),
    ("towns/town/act/destroy/", _act(typed="mill"), "403 403 302+"),
    ("towns/town/act/destroy/", _act(typed="mill", discard="on"), "403 403 302+"),
    ("towns/town/", _ticked("start", "towns.town"), "200 200 200"),
    ("towns/town/", _ticked("stop", "towns.town"), "200 200 200"),
    ("towns/town/", _ticked("restart", "towns.town"), "200 200 200"),
    ("towns/town/", _ticked("recover", "towns.town"), "200 200 200"),
    ("towns/town/", _ticked("backup", "towns.town"), "200 200 200"),
    ("towns/town/", _ticked("drill", "towns.town"), "200 200 200"),
    ("towns/town/", _ticked("sweep", "towns.town"), "200 200 200"),
    ("towns/town/", _ticked("restore", "towns.town"), "200 200 200"),
    ("towns/town/", _ticked("destroy", "towns.town"), "200 302 200"),
    ("towns/town/", _ticked("bulk_start", "towns.town"), "200 302+ 302+"),
    ("towns/town/", _ticked("bulk_stop", "towns.town"), "200 302+ 302+"),
    ("towns/town/", _ticked("bulk_restart", "towns.town"), "200 302+ 302+"),
    ("towns/town/", _ticked("bulk_backup", "towns.town"), "200 302+ 302+"),
    ("towns/town/", _ticked("bulk_recover", "towns.town"), "200 302+ 302+"),
    (
        "towns/town/add/",
        {"owner_name": "owner", "name": "new", "region": "iad", "idle_timeout_minutes": "30"},
        "403 302+ 302+",
    ),
    (
        "towns/town/{towns.town}/change/",
        {"idle_timeout_minutes": "45", "auto_stop": "on"},
        "403 302+ 302+",
    ),
    ("towns/bulkrun/{towns.bulkrun}/begin", BEGIN, "403 302+ 302+"),
    ("towns/bulkrun/{going}/pause", {}, "403 302+ 302+"),
    ("towns/bulkrun/{paused}/go-on", {}, "403 302+ 302+"),
    ("towns/bulkrun/{going}/cancel", {}, "403 302+ 302+"),
    ("towns/freeze/freeze/", {"scope": "all", "reason": "x"}, "403 302+ 302+"),
    ("towns/freeze/thaw/", {"scope": "recovery"}, "403 302+ 302+"),
    ("towns/maintenancewindow/", _ticked("end", "towns.maintenancewindow"), "200 302+ 302+"),
    (
        "towns/maintenancewindow/add/",
        {
            "scope": "fleet",
            "reason": "x",
            "since_0": "{tomorrow}",
            "since_1": "00:00",
            "until_0": "{tomorrow}",
            "until_1": "01:00",
        },
        "403 302+ 302+",
    ),
    ("towns/backup/{towns.backup}/decide/accept/", {}, "403 302 302"),
    ("towns/backup/{towns.backup}/decide/drop/", {}, "403 302 302"),
    (
        "towns/orphan/confirm/",
        {"orphans": "{towns.orphan}", "typed": "vol_1"},
        "403 403 302+",
    ),
    ("towns/orphan/", _ticked("confirm_action", "towns.orphan"), "200 200 200"),
    ("towns/orphan/", _ticked("keep_action", "confirmed"), "200 200 302+"),
    (
        "towns/replayrun/add/",
        {"setting": "GASTOWN_IDLE_TIMEOUT_MINUTES", "value": "15", "days": "7"},
        "302+ 302+ 302+",
    ),
    ("towns/replayrun/{replay}/cancel/", {}, "403 302+ 302+"),
    ("towns/apitoken/add/", {"name": "x", "scopes": "towns:read"}, "403 403 200+"),
    ("towns/apitoken/", _ticked("revoke", "towns.apitoken"), "403 403 302+"),
    (
        "towns/webhookendpoint/add/",
        {"name": "x", "url": "https://hooks.example.com/"},
        "403 403 200+",
    ),
    ("towns/webhookendpoint/", _ticked("disable", "towns.webhookendpoint"), "200 200 302+"),
    ("towns/webhookendpoint/", _ticked("enable", "halted"), "200 200 302+"),
    ("towns/webhookendpoint/", _ticked("enable_from_now", "halted"), "200 200 302+"),
    ("towns/webhookendpoint/", _ticked("remove", "towns.webhookendpoint"), "200 200 302+"),
    ("towns/webhookendpoint/{towns.webhookendpoint}/secret/", {}, "403 403 200+"),
    ("towns/webhookdelivery/", _ticked("try_again", "towns.webhookdelivery"), "200 200 302+"),
    ("auth/user/add/", {"username": "new", **TWICE}, "403 403 302+"),
    (
        "auth/user/{auth.user}/change/",
        {"username": "owner", "email": "x@example.com", "is_active": "on"},
        "403 403 302+",
    ),
    ("auth/user/{auth.user}/password/", TWICE, "403 403 302+"),
    ("auth/user/", _ticked("reset_second_factor", "auth.user"), "403 403 302+"),
    ("auth/group/add/", {"name": "x"}, "403 403 403"),
    ("auth/group/{auth.group}/change/", {"name": "x"}, "403 403 403"),
    ("auth/group/{auth.group}/delete/", {"post": "yes"}, "403 403 403"),
    ("auth/group/", _ticked("delete_selected", "auth.group"), "403 403 200"),
    ("axes/accessattempt/", _ticked("unlock", "axes.accessattempt"), "403 403 302+"),
    ("django_q/failure/", _ticked("delete_selected", "django_q.failure"), "200 200 200"),
    ("django_q/failure/", _ticked("resubmit", "django_q.failure"), "200 200 302+"),
    ("django_q/failure/{django_q.failure}/delete/", {"post": "yes"}, "403 403 302+"),
    ("django_q/ormq/", _ticked("delete_selected", "django_q.ormq"), "200 200 200"),
    ("django_q/ormq/{django_q.ormq}/delete/", {"post": "yes"}, "403 403 302+"),
]
