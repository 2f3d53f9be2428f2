"""`ETag` and `If-Match`."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.factories import make_town
from towns.models import Operation, Town

pytestmark = pytest.mark.django_db


def test_it_works(client: Any, owner: User) -> None:
    town = make_town(owner=owner)
    path = f"/towns/{town.pk}"
    tag = client.get(f"/api/v1{path}")["ETag"]
    changed = client.send("patch", path, {"auto_stop": False}, **{"If-Match": tag})
    assert changed.status_code == 200
    assert changed["ETag"] != tag
    assert changed["ETag"] == client.get(f"/api/v1{path}")["ETag"]
    stale = client.send("patch", path, {"auto_stop": True}, **{"If-Match": tag})
    assert stale.status_code == 412
    assert stale.json()["detail"].startswith("The town has changed since you saw it.")
    assert not Town.objects.get().auto_stop


@pytest.mark.parametrize("action", ["stop", "restart", "backup"])
def test_what_is_asked_of_a_town_that_has_changed_is_not_done(
    client: Any, owner: User, action: str
) -> None:
    path = f"/towns/{make_town(owner=owner).pk}/{action}"
    assert client.send("post", path, {}, **{"If-Match": '"old"'}).status_code == 412
    assert not Operation.objects.exists()


@pytest.mark.parametrize("tags", ["*", '"old", {tag}'])
def test_any_of_several_tags_will_do(client: Any, owner: User, tags: str) -> None:
    path = f"/towns/{make_town(owner=owner).pk}"
    given = tags.format(tag=client.get(f"/api/v1{path}")["ETag"])
    answer = client.send("post", f"{path}/stop", {}, **{"If-Match": given})
    assert answer.status_code == 202, answer.content


def test_a_check_of_its_health_is_no_change(client: Any, owner: User) -> None:
    path = f"/api/v1/towns/{make_town(owner=owner).pk}?peek=1"
    tag = client.get(path)["ETag"]
    Town.objects.update(last_checked_at=timezone.now(), health={"polecats_active": 1})
    assert client.get(path)["ETag"] == tag
