"""What a gateway tells: traffic wakes a town that sleeps for being idle, WebSockets don't."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.api.conftest import JsonClient
from tests.factories import make_town
from towns.models import Operation, Town
from towns.words import Status

pytestmark = pytest.mark.django_db


def sleeping(owner: User, **fields: object) -> Town:
    values: dict[str, object] = {"status": Status.STOPPED, "stop_reason": "idle"}
    return make_town(owner=owner, **{**values, "desired_state": "stopped", **fields})


def test_it_works(client: JsonClient, owner: User) -> None:
    town = make_town(owner=owner, last_interaction_at=timezone.now() - timedelta(hours=1))
    answer = client.send("post", f"/towns/{town.pk}/interactions")
    assert (answer.status_code, answer.json()["last_interaction_kind"]) == (200, "gateway")


def test_traffic_wakes_an_idle_town(client: JsonClient, owner: User) -> None:
    town = sleeping(owner)
    answer = client.send("post", f"/towns/{town.pk}/interactions")
    assert (answer.status_code, answer.json()["status"]) == (202, "starting")


def test_kilo_3376_traffic_leaves_a_town_that_a_person_stopped(
    client: JsonClient, owner: User
) -> None:
    town = sleeping(owner, stop_reason="person")
    assert client.send("post", f"/towns/{town.pk}/interactions").status_code == 200
    assert not Operation.objects.exists()


def test_a_websocket_never_wakes(client: JsonClient, owner: User) -> None:
    town = sleeping(owner)
    answer = client.send("post", f"/towns/{town.pk}/interactions", {"kind": "websocket"})
    assert answer.status_code == 409
    assert "a WebSocket does not wake it" in answer.json()["detail"]
    assert not Operation.objects.exists()


def test_kilo_3113_an_open_websocket_is_seen_but_only_messages_are_interaction(
    client: JsonClient, owner: User
) -> None:
    before = timezone.now() - timedelta(hours=1)
    town = make_town(owner=owner, last_interaction_at=before)
    client.send("post", f"/towns/{town.pk}/interactions", {"kind": "websocket"})
    town.refresh_from_db()
    assert town.websocket_seen_at is not None
    assert (town.websocket_message_at, town.last_interaction_at) == (None, before)
    body = {"kind": "websocket", "message": True}
    client.send("post", f"/towns/{town.pk}/interactions", body)
    town.refresh_from_db()
    assert town.websocket_message_at is not None
    assert town.last_interaction_kind == "websocket"


def test_a_busy_town_costs_one_write_in_30_seconds(
    client: JsonClient, owner: User, django_assert_num_queries: object
) -> None:
    town = make_town(owner=owner, last_interaction_at=timezone.now())
    client.send("post", f"/towns/{town.pk}/interactions")
    with django_assert_num_queries(4):  # type: ignore[operator]  # session, user, town, operation
        client.send("post", f"/towns/{town.pk}/interactions")


def test_strangers_can_not_touch(stranger: JsonClient, owner: User) -> None:
    town = make_town(owner=owner)
    assert stranger.send("post", f"/towns/{town.pk}/interactions").status_code == 404


def test_a_visit_during_an_idle_stop_has_it_start_again(client: JsonClient, owner: User) -> None:
    from tests.factories import make_operation
    from towns.words import OperationKind

    town = sleeping(owner, status=Status.STOPPING)
    make_operation(town, OperationKind.STOP)
    assert client.send("post", f"/towns/{town.pk}/interactions").status_code == 202
    town.refresh_from_db()
    assert town.desired_state == "running"
