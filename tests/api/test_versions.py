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
    path = f"/towns/{make_town(owner=owner).pk}"
    tag = client.get(f"/api/v1{path}?peek=1")["ETag"]
    Town.objects.update(last_checked_at=timezone.now(), health={"polecats_active": 1})
    changed = client.send("patch", path, {"auto_stop": False}, **{"If-Match": tag})
    assert changed.status_code == 200


def test_who_has_it_already_is_told_so(client: Any, owner: User) -> None:
    path = f"/api/v1/towns/{make_town(owner=owner).pk}?peek=1"
    first = client.get(path)
    known = {"If-None-Match": f'"other", {first["ETag"]}'}
    again = client.get(path, headers=known)
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    Town.objects.update(health={"polecats_active": 1})
    news = client.get(path, headers=known)
    assert news.status_code == 200, "what was checked meanwhile is news"
    assert news.json()["health"]["polecats_active"] == 1


def test_a_visit_that_learns_nothing_new_is_a_visit(client: Any, owner: User) -> None:
    town = make_town(owner=owner)
    path = f"/api/v1/towns/{town.pk}"
    client.get(path)
    tag = client.get(path)["ETag"]
    asleep = {"status": "stopped", "stop_reason": "idle", "desired_state": "stopped"}
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    make_town(owner=owner, **asleep)
    sleeper = Town.objects.get(status="stopped")
    path = f"/api/v1/towns/{sleeper.pk}"
    tag = client.get(f"{path}?peek=1")["ETag"]
    woken = client.get(path, headers={"If-None-Match": tag})
    assert (woken.status_code, woken.json()["status"]) == (200, "starting")
