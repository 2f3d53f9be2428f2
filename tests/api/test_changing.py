"""Changing a town, once a key and never when it is gone."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.api.conftest import JsonClient
from tests.factories import make_town
from towns.models import Town
from towns.words import Status

pytestmark = pytest.mark.django_db
KEY = {"Idempotency-Key": "k1"}


def idle(minutes: int) -> dict[str, Any]:
    return {"idle_timeout_minutes": minutes}


def test_a_repeated_key_changes_it_once_and_gets_the_first_answer(
    client: JsonClient, owner: User
) -> None:
    path = f"/towns/{make_town(owner=owner).pk}"
    first = client.send("patch", path, idle(60), **KEY)
    assert (first.status_code, first.json()["idle_timeout_minutes"]) == (200, 60)
    assert first["ETag"] == client.get(f"/api/v1{path}")["ETag"]
    client.send("patch", path, idle(90))
    again = client.send("patch", path, idle(60), **KEY)
    assert (again.status_code, again.json(), again["ETag"]) == (200, first.json(), first["ETag"])
    assert Town.objects.get().idle_timeout_minutes == 90
    assert client.send("patch", path, idle(61), **KEY).status_code == 422


def test_a_refusal_is_repeated_too(client: JsonClient, owner: User) -> None:
    path = f"/towns/{make_town(owner=owner).pk}"
    tried = [client.send("patch", path, idle(4), **KEY) for _ in range(2)]
    assert [one.status_code for one in tried] == [422, 422]
    assert tried[0].json() == tried[1].json()
    assert "ETag" not in tried[1]


def test_a_repeated_visit_gets_the_first_answer(client: JsonClient, owner: User) -> None:
    town = make_town(
        owner=owner, status=Status.STOPPED, stop_reason="idle", desired_state="stopped"
    )
    path = f"/towns/{town.pk}/interactions"
    first = client.send("post", path, **KEY)
    assert (first.status_code, first.json()["status"]) == (202, "starting")
    again = client.send("post", path, **KEY)
    assert (again.status_code, again.json()) == (202, first.json())
    assert client.send("post", path).status_code == 200, "it is awake already"
    assert client.send("post", path, {"kind": "websocket"}, **KEY).status_code == 422


@pytest.mark.parametrize(
    ("status", "days", "told"),
    [
        (
            Status.DESTROYING,
            None,
            "is being destroyed, so nothing but a hold can be changed. Restore ",
        ),
        (
            Status.DESTROYED,
            10,
            "is destroyed, so nothing but a hold can be changed. Restore it first: ",
        ),
        (Status.DESTROYED, 31, "is destroyed and can't be restored any more: its backup expired "),
    ],
)
def test_one_that_is_gone_is_not_changed(
    client: JsonClient, owner: User, status: Status, days: int | None, told: str
) -> None:
    gone = None if days is None else timezone.now() - timedelta(days=days, minutes=-5)
    town = make_town(owner=owner, status=status, destroyed_at=gone)
    answer = client.send("patch", f"/towns/{town.pk}", idle(60))
    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    assert answer.json()["detail"].startswith(f"{town} {told}")
    assert Town.objects.get().idle_timeout_minutes != 60
    assert not town.events.exists()


def test_it_says_for_how_long_it_can_be_restored(client: JsonClient, owner: User) -> None:
    gone = timezone.now() - timedelta(days=10, minutes=-5)
    town = make_town(owner=owner, status=Status.DESTROYED, destroyed_at=gone)
    answer = client.send("patch", f"/towns/{town.pk}", idle(60))
    assert answer.json()["detail"].endswith(" Restore it first: that can be done for 20 d.")
