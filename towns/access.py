"""Brings the groups of staff to `access_table`."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import connections

from towns.access_table import GROUPS


def sync_groups(using: str = "default") -> None:
    """Make the groups, and give each just what the table says. KeyError for a permission that no
    model has."""
    known = {
        f"{one.content_type.app_label}.{one.codename}": one
        for one in Permission.objects.using(using).select_related("content_type")
    }
    for name, permissions in GROUPS.items():
        group, _ = Group.objects.using(using).get_or_create(name=name)
        group.permissions.set([known[permission] for permission in permissions])


def after_migrate(using: str = "default", **_: Any) -> None:
    """Signal handler: permissions are made after each migrate, by handlers that run before this."""
    tables = connections[using].introspection.table_names()
    if {"auth_group", "axes_accessattempt", "towns_apitoken", "towns_webhookendpoint"} <= set(
        tables
    ):
        sync_groups(using)
