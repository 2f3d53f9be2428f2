"""Who of the staff may do what: the groups, and the permissions of each. Pure.

The three groups are ours: each `migrate` brings them to this table. Whoever needs something else
makes a group of their own.
"""

from collections.abc import Mapping

_SEEN = (
    *(
        "town",
        "alert",
        "backup",
        "bulkrun",
        "delivery",
        "drill",
        "freeze",
        "healthcheck",
        "healthhour",
    ),
    *("lifecycleevent", "maintenancewindow", "operation", "orphan", "replayrun", "sweep"),
    *("webhookendpoint", "webhookdelivery"),
)
VIEWER = frozenset(
    {
        *(f"towns.view_{model}" for model in _SEEN),
        *(f"django_q.view_{model}" for model in ("schedule", "ormq", "failure", "success")),
    }
)
"""Sees the fleet and all that happened; changes nothing."""
OPERATOR = VIEWER | {
    *("towns.add_town", "towns.change_town"),
    *("towns.start_town", "towns.stop_town", "towns.restart_town", "towns.recover_town"),
    *("towns.backup_town", "towns.restore_town", "towns.drill_town", "towns.sweep_town"),
    *("towns.freeze_automation", "towns.decide_backup"),
}
"""Does whatever loses nothing."""
ADMIN = OPERATOR | {
    *("towns.destroy_town", "towns.discard_town", "towns.confirm_orphan"),
    *("towns.view_apitoken", "towns.add_apitoken", "towns.delete_apitoken"),
    *("towns.add_webhookendpoint", "towns.change_webhookendpoint"),
    *("towns.delete_webhookendpoint",),
    *("auth.view_user", "auth.add_user", "auth.change_user", "auth.view_group"),
    *("axes.view_accessattempt", "axes.delete_accessattempt", "axes.view_accesslog"),
    *("django_q.delete_ormq", "django_q.delete_failure"),
}
"""Destroys, and decides who may do what. What makes a superuser is for superusers."""
GROUPS: Mapping[str, frozenset[str]] = {"Viewer": VIEWER, "Operator": OPERATOR, "Admin": ADMIN}
