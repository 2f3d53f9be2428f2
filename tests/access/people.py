"""Who asks, and the fleet that they ask about."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from tests.access.addresses import filled
from tests.factories import make_operation, make_town, make_user
from towns.history import Actor
from towns.models import Alert, Backup, Freeze
from towns.scopes import Scope
from towns.tokens import create_token
from towns.webhooks.endpoints import create_webhook
from towns.words import OperationKind

ROLES = ("nobody", "owner", "other", "viewer", "operator", "admin", "token")
NIL = UUID(int=0)


@dataclass(slots=True)
class Scene:
    """People, a machine, and a town of `owner` with something of everything."""

    clients: dict[str, Client] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    ids: dict[str, Any] = field(default_factory=dict)

    def path(self, pattern: str) -> str:
        """A pattern with the ids of the scene."""
        parts = pattern.split("/")
        model = ".".join(parts[1:3]) if parts[0] == "admin" else ""
        objects = {"object_id": self.ids.get(model, 0), "id": self.ids.get(model, 0)}
        path = filled(pattern.replace("<id>", "<path:id>"), {**self.values, **objects})
        for name in ("town_id", "operation_id", "webhook_id"):
            path = path.replace(f"<uuidstr:{name}>", str(self.values[name]))
        return path


def make_scene() -> Scene:
    """Make them all, in a few statements."""
    now, scene = timezone.now(), Scene()
    owner = make_user("owner")
    people: dict[str, User | None] = {"nobody": None, "owner": owner, "other": make_user("other")}
    for role in ("viewer", "operator", "admin"):
        user = people[role] = make_user(role, is_staff=True)
        user.groups.add(Group.objects.get(name=role.capitalize()))
    for role, person in people.items():
        client = scene.clients[role] = Client()
        if person is not None:
            client.force_login(person)
    scopes = [scope.value for scope in Scope]
    made = create_token("machine", scopes, actor=Actor.shell(), now=now)
    scene.clients["token"] = Client(headers={"Authorization": f"Bearer {made.secret}"})
    town = make_town(owner=owner, name="mill")
    operation = make_operation(town, OperationKind.BACKUP, state="succeeded")
    alert = Alert.objects.create(
        town=town,
        cause="x",
        subject="x",
        severity="warning",
        message="",
        opened_at=now,
        seen_at=now,
    )
    backup = Backup.objects.create(town=town, snapshot="20260217T120000Z", created_at=now)
    webhook = create_webhook(
        "hook", "https://hooks.example.com/", actor=Actor.shell(), now=now
    ).endpoint
    freeze = Freeze.objects.create(scope="recovery", reason="x", actor="x", since=now)
    scene.values = {
        "town_id": town.pk,
        "operation_id": operation.pk,
        "window_id": 0,
        "webhook_id": webhook.pk,
        "kind": "stop",
        "what": "settings",
        "name": "stop",
        "pk": backup.pk,
        "decision": "accept",
        "content_type_id": 0,
    }
    scene.ids = {
        "towns.town": town.pk,
        "towns.operation": operation.pk,
        "towns.alert": alert.pk,
        "towns.backup": backup.pk,
        "towns.freeze": freeze.pk,
        "towns.apitoken": made.token.pk,
        "towns.webhookendpoint": webhook.pk,
        "auth.user": owner.pk,
        "auth.group": Group.objects.get(name="Viewer").pk,
    }
    return scene
