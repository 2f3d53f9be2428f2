"""What a machine's token may do: scopes, and the permissions that each stands for. Pure."""

from enum import StrEnum

from towns.words import OperationKind


class Scope(StrEnum):
    """One word of a token."""

    READ = "towns:read"
    WRITE = "towns:write"
    DESTROY = "towns:destroy"
    FLEET = "fleet:read"
    AUTOMATION = "automation:write"
    OWNERS = "owners:act"
    WEBHOOKS = "webhooks:write"


TOLD: dict[Scope, str] = {
    Scope.READ: "see towns and their history",
    Scope.WRITE: "create and change towns, start, stop, restart, back up and restore them, and "
    "tell of their owners' traffic",
    Scope.DESTROY: "destroy towns; their last backup is kept",
    Scope.FLEET: "see the fleet's figures, alerts, and what holds automation back",
    Scope.AUTOMATION: "freeze and thaw automation, plan maintenance, recover and drill towns",
    Scope.OWNERS: "act for an owner (X-Gastown-User)",
    Scope.WEBHOOKS: "see, make, change and remove webhooks, which hear of what happens to towns",
}
_PERMISSIONS: dict[str, Scope] = {
    "view_town": Scope.READ,
    "add_town": Scope.WRITE,
    "change_town": Scope.WRITE,
    "start_town": Scope.WRITE,
    "stop_town": Scope.WRITE,
    "restart_town": Scope.WRITE,
    "backup_town": Scope.WRITE,
    "restore_town": Scope.WRITE,
    "destroy_town": Scope.DESTROY,
    "view_fleet": Scope.FLEET,
    "view_freeze": Scope.FLEET,
    "recover_town": Scope.AUTOMATION,
    "drill_town": Scope.AUTOMATION,
    "freeze_automation": Scope.AUTOMATION,
    "view_webhookendpoint": Scope.WEBHOOKS,
    "add_webhookendpoint": Scope.WEBHOOKS,
    "change_webhookendpoint": Scope.WEBHOOKS,
    "delete_webhookendpoint": Scope.WEBHOOKS,
}
"""What has no scope, such as discarding data, is for people alone."""
_OF_TOKENS_ALONE = frozenset({"view_fleet"})


def scope_for(permission: str) -> Scope | None:
    """The scope that stands for a permission; None: no token has it."""
    return _PERMISSIONS.get(permission)


def permissions_of(scope: Scope) -> frozenset[str]:
    """The permissions that a scope stands for, which people hold one by one."""
    found = {permission for permission, one in _PERMISSIONS.items() if one is scope}
    return frozenset(found - _OF_TOKENS_ALONE)


def scope_for_operation(kind: OperationKind) -> Scope | None:
    """The scope that asking for an operation takes."""
    return scope_for(f"{kind}_town")
