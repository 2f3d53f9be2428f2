"""History in the API."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from tests.api.conftest import JsonClient
from tests.factories import NOW, make_drill, make_operation, make_town
from towns import alerts, history
from towns.history import Actor
from towns.models import Backup, HealthCheck
from towns.words import OperationKind

pytestmark = pytest.mark.django_db


def test_it_works(client: JsonClient, owner: User) -> None:
    town = make_town(owner=owner)
    HealthCheck.objects.create(town=town, checked_at=NOW, result="ok", polecats_active=2)
    history.record(town, "changed", actor=Actor("ann"), now=NOW, reason="why not")
    operation = make_operation(town, OperationKind.BACKUP)
    Backup.objects.create(town=town, snapshot="20260217T120000Z", created_at=NOW)
    alerts.open_alert(cause="x", town=town, severity="warning", message="m", now=NOW)

    def first(path: str) -> dict[str, object]:
        answer = client.send("get", path)
        assert answer.status_code == 200, answer.content
        found: dict[str, object] = answer.json()["items"][0]
        return found

    assert first(f"/towns/{town.pk}/health")["result"] == "ok"
    assert first(f"/towns/{town.pk}/events")["reason"] == "why not"
    assert first(f"/towns/{town.pk}/operations")["id"] == str(operation.pk)
    assert first(f"/towns/{town.pk}/backups")["snapshot"] == "20260217T120000Z"
    assert first("/alerts")["town"] == str(town.pk)
    assert client.send("get", f"/operations/{operation.pk}").json()["kind"] == "backup"


def test_backups_say_whether_they_are_known_to_restore(client: JsonClient, owner: User) -> None:
    town = make_town(owner=owner)
    path = f"/towns/{town.pk}/backups"
    assert client.send("get", path).json()["last_drill"] is None
    make_drill(town, result="corrupt", reason="config.tar", fell_back_to="20260217T115500Z")
    make_drill(town, result="", finished_at=None, began_at=NOW + timedelta(hours=1))
    drill = client.send("get", path).json()["last_drill"]
    assert (drill["result"], drill["fell_back_to"]) == ("corrupt", "20260217T115500Z")
    assert (drill["seconds"], drill["finished_at"]) == (40.0, "2026-02-17T12:00:40Z")


@pytest.mark.parametrize("path", ["health", "events", "operations", "backups"])
def test_strangers_find_nothing(stranger: JsonClient, owner: User, path: str) -> None:
    town = make_town(owner=owner)
    assert stranger.send("get", f"/towns/{town.pk}/{path}").status_code == 404


def test_strangers_see_no_operation_and_no_alert(stranger: JsonClient, owner: User) -> None:
    town = make_town(owner=owner)
    operation = make_operation(town, OperationKind.BACKUP)
    alerts.open_alert(cause="x", town=town, severity="warning", message="m", now=NOW)
    assert stranger.send("get", f"/operations/{operation.pk}").status_code == 404
    assert stranger.send("get", "/alerts").json()["items"] == []


def test_unknown_things_are_404(client: JsonClient) -> None:
    for path in ("/towns/nonsense", "/operations/nonsense", "/nothing"):
        answer = client.send("get", path)
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_events_come_in_pages_and_filtered(client: JsonClient, owner: User) -> None:
    town = make_town(owner=owner)
    for number in range(5):
        history.record(town, f"k{number % 2}", actor=Actor("ann"), now=NOW)
    page = client.get(f"/api/v1/towns/{town.pk}/events?limit=3").json()
    assert [one["kind"] for one in page["items"]] == ["k0", "k1", "k0"]
    rest = client.get(f"/api/v1/towns/{town.pk}/events?limit=3&cursor={page['next_cursor']}").json()
    assert len(rest["items"]) == 2
    found = client.get(f"/api/v1/towns/{town.pk}/events?kind=k1").json()
    assert len(found["items"]) == 2


def test_the_document_describes_every_view(client: JsonClient) -> None:
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    wanted = {"/api/v1/towns", "/api/v1/towns/{town_id}", "/api/v1/alerts"}
    wanted |= {
        f"/api/v1/towns/{{town_id}}/{name}"
        for name in [
            "start",
            "stop",
            "restart",
            "recover",
            "backup",
            "destroy",
            "restore",
            "interactions",
            "health",
            "events",
            "operations",
            "backups",
        ]
    }
    wanted |= {"/api/v1/operations/{operation_id}"}
    assert wanted <= set(paths)
