"""Going up and down the migrations, with rows as they were in the beginning."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.apps.registry import Apps
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations.executor import MigrationExecutor

NOW = datetime.now(UTC).replace(microsecond=0)
FIRST = "0001_initial"


def names() -> list[str]:
    """The app's migrations, the first one first."""
    graph = MigrationExecutor(connection).loader.graph
    [leaf] = graph.leaf_nodes("towns")
    return [name for app, name in graph.forwards_plan(leaf) if app == "towns"]


def go_to(name: str) -> None:
    """As an operator would: with the signals that drop and make the trigger."""
    call_command("migrate", "towns", name, verbosity=0, skip_checks=True)


def state(name: str) -> Apps:
    """The models as they were after a migration."""
    return MigrationExecutor(connection).loader.project_state(("towns", name)).apps


def start_afresh() -> None:
    """No rows, and the newest tables as they are when no rows were there to migrate."""
    call_command("flush", verbosity=0, interactive=False)
    go_to(FIRST)
    go_to(names()[-1])


def fill(apps: Apps) -> None:
    """A row of every kind that there was in the beginning; two of health checks, a day apart."""

    def make(model: str, **fields: Any) -> Any:
        return apps.get_model("towns", model)._default_manager.create(**fields)

    owner = apps.get_model("auth", "User")._default_manager.create(username="ann")
    town = make(
        "Town", owner=owner, name="mill", region="iad", status="running", status_since=NOW,
        created_at=NOW, machine_id="m1", volume_id="v1", health={"polecats_active": 1},
    )  # fmt: skip
    operation = make(
        "Operation", town=town, kind="stop", step="sync", actor="ann", user=owner,
        status_before="running", created_at=NOW, due_at=NOW, params={"why": "ü"},
    )  # fmt: skip
    event = make(
        "LifecycleEvent", town=town, at=NOW, kind="provisioned", from_status="provisioning",
        to_status="running", actor="ann", operation=operation, data={"a": [1]},
    )  # fmt: skip
    apps.get_model("towns", "Town")._default_manager.update(status_event=event)
    for days in (40, 1, 0):
        at = NOW - timedelta(days=days)
        make(
            "HealthCheck", town=town, slot=at, checked_at=at, result="ok", latency_ms=31,
            disk_used=2**40, cpu_ratio=0.5,
        )  # fmt: skip
    make("HealthCheck", town=town, checked_at=NOW, result="failed", kind="timeout", reason="slow")
    make(
        "Alert", town=town, cause="x", subject=str(town.pk), severity="warning", message="m",
        opened_at=NOW, seen_at=NOW,
    )  # fmt: skip
    make("Backup", town=town, operation=operation, snapshot="20260217T120000Z", created_at=NOW)
    sweep = make("Sweep", kind="health", slot=NOW, started_at=NOW)
    make("SweepChunk", sweep=sweep, number=0, first_town=town.pk, last_town=town.pk)
    make("Freeze", scope="all", reason="window", actor="ann", since=NOW)
    make("Breaker", scope="fleet", state="open", reason="r", opened_at=NOW, canary=operation)
    make("IdempotentRequest", user=owner, key="k", fingerprint="f", created_at=NOW)


def fill_the_rest(apps: Apps) -> None:
    """A row of every model that has none: of those that came after the beginning."""
    for model in apps.get_app_config("towns").get_models():
        if not model._default_manager.exists():
            model._default_manager.create(**_values(model))


def _values(model: Any) -> dict[str, Any]:
    """What a row can't be without. Times come one after the other, as their fields do."""
    needed = [
        field
        for field in model._meta.concrete_fields
        if not (field.null or field.has_default() or field.db_default is not models.NOT_PROVIDED)
        and not isinstance(field, models.AutoField)
    ]
    return {field.name: _value(field, number) for number, field in enumerate(needed)}


def _value(field: Any, number: int) -> Any:
    match field:
        case models.ForeignKey():
            return field.related_model._default_manager.first()
        case models.DateTimeField():
            return NOW + timedelta(minutes=number)
        case models.UUIDField():
            return uuid4()
        case models.IntegerField() | models.FloatField():
            return number
        case _:
            return field.choices[0][0] if field.choices else "x"
