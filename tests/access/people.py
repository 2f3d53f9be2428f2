"""Who asks, and the fleet that they ask about."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from axes.models import AccessAttempt
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_q.models import OrmQ, Task
from django_q.tasks import async_task

from tests.access.addresses import filled
from tests.factories import make_operation, make_town, make_user
from towns.history import Actor, record
from towns.models import (
    Alert,
    Backup,
    BulkRun,
    Freeze,
    MaintenanceWindow,
    Orphan,
    ReplayRun,
    Town,
    WebhookDelivery,
    WebhookEndpoint,
)
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
        objects = dict.fromkeys(("object_id", "id", "pk"), self.ids.get(model, 0))
        path = filled(pattern.replace("<id>", "<path:id>"), {**self.values, **objects})
        for name in ("town_id", "operation_id", "webhook_id"):
            path = path.replace(f"<uuidstr:{name}>", str(self.values[name]))
        return path


def make_scene() -> Scene:
    """Make them all, in a few statements."""
    now, scene = timezone.now(), Scene()
    owner = make_user("owner")
    TOTPDevice.objects.create(user=owner, name="authenticator")
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
    ids = {**_make_work(town, owner, now), **_make_trouble(town, webhook, now)}
    scene.values = {
        "town_id": town.pk,
        "operation_id": operation.pk,
        "window_id": 0,
        "webhook_id": webhook.pk,
        "run_id": ids["replay"],
        "kind": "stop",
        "what": "settings",
        "name": "stop",
        "decision": "accept",
        "content_type_id": 0,
    }
    scene.ids = {
        **ids,
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


def _make_work(town: Town, user: User, now: datetime) -> dict[str, Any]:
    """Bulk work that waits for its beginning, goes on, and pauses; a window to come; a replay that
    somebody else has asked for."""
    runs = {}
    for name, state in (
        ("towns.bulkrun", BulkRun.State.PREVIEWED),
        ("going", BulkRun.State.RUNNING),
        ("paused", BulkRun.State.PAUSED),
    ):
        run = BulkRun.objects.create(
            kind="stop", state=state, actor="x", user=user, selection="x", created_at=now
        )
        run.items.create(town=town)
        runs[name] = run.pk
    window = MaintenanceWindow.objects.create(
        scope="fleet",
        since=now + timedelta(days=1),
        until=now + timedelta(days=2),
        reason="x",
        actor="x",
        created_at=now,
    )
    replay = ReplayRun.objects.create(days=1, actor="x", created_at=now, went_on_at=now, total=1)
    tomorrow = (now + timedelta(days=1)).date()
    return {**runs, "replay": replay.pk, "towns.maintenancewindow": window.pk, "tomorrow": tomorrow}


def _make_trouble(town: Town, webhook: WebhookEndpoint, now: datetime) -> dict[str, Any]:
    """Orphans, a webhook that is halted, a delivery that was given up, a name that is locked out, a
    task that failed and one that waits."""
    orphans = {
        name: Orphan.objects.create(
            fly_id=fly_id,
            kind="volume",
            cause="old_volume",
            state=state,
            first_seen_at=now,
            last_seen_at=now,
        ).pk
        for name, fly_id, state in (
            ("towns.orphan", "vol_1", Orphan.State.REPORTED),
            ("confirmed", "vol_2", Orphan.State.CONFIRMED),
        )
    }
    made = create_webhook("halted", "https://hooks.example.com/", actor=Actor.shell(), now=now)
    halted = made.endpoint
    WebhookEndpoint.objects.filter(pk=halted.pk).update(enabled=False, disabled_at=now)
    delivery = WebhookDelivery.objects.create(
        endpoint=webhook,
        event=record(town, "x", actor=Actor.shell(), now=now),
        state=WebhookDelivery.State.GIVEN_UP,
        created_at=now,
        due_at=now,
        ended_at=now,
    )
    locked = AccessAttempt.objects.create(username="ghost", failures_since_start=5)
    moments = {"started": now, "stopped": now}
    failure = Task.objects.create(id="f", name="f", func="towns.tasks.x", success=False, **moments)
    async_task("towns.tasks.x")
    return {
        **orphans,
        "django_q.failure": failure.pk,
        "django_q.ormq": OrmQ.objects.latest("pk").pk,
        "halted": halted.pk,
        "towns.webhookdelivery": delivery.pk,
        "axes.accessattempt": locked.pk,
    }
