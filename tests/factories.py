"""Rows for tests, as the product would have made them."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Permission, User

from towns.models import Drill, Operation, Town
from towns.words import OperationKind, OperationState, Status

NOW = datetime(2026, 2, 17, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def make_user(username: str = "", *, permissions: tuple[str, ...] = (), **fields: Any) -> User:
    """A user; `permissions` are codenames of the app towns."""
    username = username or f"user{next(_numbers)}"
    user = User.objects.create_user(username, f"{username}@example.test", "pw", **fields)
    if permissions:
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="towns", codename__in=permissions)
        )
    return user


def make_town(**fields: Any) -> Town:
    """A town that runs, unless `fields` say otherwise."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "name": f"town-{number}",
        "region": "iad",
        "image": "registry.test/town:1",
        "status": Status.RUNNING,
        "status_since": NOW,
        "created_at": NOW,
        "fly_app": "towns",
        "machine_id": f"{number:014x}",
        "volume_id": f"vol_{uuid4().hex[:16]}",
        "first_ran_at": NOW,
        "awake_since": NOW,
        "last_interaction_at": NOW,
    }
    if "owner" not in fields:
        values["owner"] = make_user()
    return Town.objects.create(**{**values, **fields})


def make_operation(town: Town, kind: OperationKind, **fields: Any) -> Operation:
    """An operation; open, unless `fields` say otherwise."""
    values: dict[str, Any] = {
        "step": "a_step",
        "actor": "tester",
        "state": OperationState.OPEN,
        "status_before": town.status,
        "created_at": NOW,
        "due_at": NOW,
    }
    return Operation.objects.create(town=town, kind=kind, **{**values, **fields})


def make_drill(town: Town, **fields: Any) -> Drill:
    """A drill that is over and clean, unless `fields` say otherwise."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "snapshot": "20260217T120000Z",
        "result": Drill.Result.OK,
        "reason": "It restored.",
        "fly_app": town.fly_app,
        "began_at": NOW,
        "finished_at": NOW + timedelta(seconds=40),
        "cleaned_at": NOW + timedelta(seconds=50),
    }
    return Drill.objects.create(town=town, **{**values, **fields})
