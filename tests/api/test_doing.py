"""The actions in the API: who may, what comes, what is refused."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone

from tests.api.conftest import STAFF, JsonClient
from tests.factories import make_operation, make_town, make_user
from towns import actions
from towns.models import Operation, Town
from towns.words import DesiredState, OperationKind, Status

pytestmark = pytest.mark.django_db
READY: dict[str, dict[str, object]] = {
    "start": {"status": Status.STOPPED, "stop_reason": "person", "desired_state": "stopped"},
    "stop": {},
    "restart": {},
    "recover": {"status": Status.ERROR},
    "backup": {},
    "destroy": {},
    "restore": {"status": Status.DESTROYED, "destroyed_at": timezone.now()},
}
OWNERS = {"start", "stop", "restart", "backup", "destroy", "restore"}


def body_of(kind: str, town: Town) -> dict[str, str]:
    return {"confirm": town.name} if kind == "destroy" else {}


@pytest.mark.parametrize("kind", READY)
def test_it_works_for_staff(staff: JsonClient, kind: str) -> None:
    town = make_town(**READY[kind])
    answer = staff.send("post", f"/towns/{town.pk}/{kind}", body_of(kind, town))
    assert answer.status_code == 202
    operation = Operation.objects.get()
    assert (answer.json()["id"], answer.json()["kind"]) == (str(operation.pk), kind)
    assert operation.actor == "sam"


@pytest.mark.parametrize("kind", READY)
def test_owners_may_all_but_recover(client: JsonClient, owner: User, kind: str) -> None:
    town = make_town(owner=owner, **READY[kind])
    answer = client.send("post", f"/towns/{town.pk}/{kind}", body_of(kind, town))
    assert answer.status_code == (202 if kind in OWNERS else 403)


@pytest.mark.parametrize("kind", READY)
def test_strangers_find_nothing(stranger: JsonClient, kind: str) -> None:
    town = make_town(**READY[kind])
    answer = stranger.send("post", f"/towns/{town.pk}/{kind}", body_of(kind, town))
    assert answer.status_code == 404
    assert not Operation.objects.exists()


@pytest.mark.parametrize("kind", READY)
def test_each_action_needs_its_own_permission(sign_in: object, kind: str) -> None:
    others = tuple(name for name in STAFF if name != f"{kind}_town")
    client = sign_in(make_user(is_staff=True, permissions=others))  # type: ignore[operator]
    town = make_town(**READY[kind])
    answer = client.send("post", f"/towns/{town.pk}/{kind}", body_of(kind, town))
    assert answer.status_code == 403
    assert f"towns.{kind}_town" in answer.json()["detail"]


def test_a_wrong_status_is_a_409_with_the_reason(client: JsonClient, owner: User) -> None:
    town = make_town(owner=owner)
    answer = client.send("post", f"/towns/{town.pk}/start")
    assert (answer.status_code, answer.json()["detail"]) == (409, f"{town} is running already.")


def test_a_request_during_an_operation_follows_it(client: JsonClient, owner: User) -> None:
    town = make_town(owner=owner, status=Status.STOPPING, desired_state="stopped")
    make_operation(town, OperationKind.STOP)
    answer = client.send("post", f"/towns/{town.pk}/start")
    assert answer.status_code == 202
    assert answer.json()["note"] == "It starts again as soon as it has stopped."
    town.refresh_from_db()
    assert town.desired_state == DesiredState.RUNNING


def test_destroy_needs_the_name_typed(client: JsonClient, owner: User) -> None:
    town = make_town(owner=owner, name="mill")
    for body in ({}, {"confirm": "Mill"}):
        assert client.send("post", f"/towns/{town.pk}/destroy", body).status_code == 422
    assert not Operation.objects.exists()


def test_discarding_needs_its_permission(client: JsonClient, sign_in: object, owner: User) -> None:
    town = make_town(owner=owner, name="mill")
    body = {"confirm": "mill", "discard": True}
    assert client.send("post", f"/towns/{town.pk}/destroy", body).status_code == 403
    admin = sign_in(  # type: ignore[operator]
        make_user(is_staff=True, permissions=(*STAFF, "discard_town"))
    )
    assert admin.send("post", f"/towns/{town.pk}/destroy", body).status_code == 202


def test_after_the_retention_time_the_answer_is_expired(client: JsonClient, owner: User) -> None:
    long_ago = timezone.now() - timedelta(days=31)
    town = make_town(owner=owner, status=Status.DESTROYED, destroyed_at=long_ago)
    answer = client.send("post", f"/towns/{town.pk}/restore")
    assert answer.status_code == 409
    assert "its backup expired on" in answer.json()["detail"]


def test_a_repeated_key_gets_the_first_answer(client: JsonClient, owner: User) -> None:
    town = make_town(owner=owner)
    key = {"Idempotency-Key": "k1"}
    first = client.send("post", f"/towns/{town.pk}/stop", {"reason": "x"}, **key)
    again = client.send("post", f"/towns/{town.pk}/stop", {"reason": "x"}, **key)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert Operation.objects.count() == 1
    other = client.send("post", f"/towns/{town.pk}/stop", {"reason": "y"}, **key)
    assert other.status_code == 422


def test_a_refusal_is_repeated_too(client: JsonClient, owner: User) -> None:
    town = make_town(owner=owner)
    key = {"Idempotency-Key": "k2"}
    first = client.send("post", f"/towns/{town.pk}/start", **key)
    again = client.send("post", f"/towns/{town.pk}/start", **key)
    assert first.status_code == again.status_code == 409
    assert first.json() == again.json()


def test_a_key_creates_one_town(client: JsonClient, owner: User) -> None:
    for _ in range(2):
        answer = client.send("post", "/towns", {"name": "mill"}, **{"Idempotency-Key": "k3"})
        assert answer.status_code == 201
    assert Town.objects.count() == 1


def test_an_unsafe_request_needs_its_csrf_token(owner: User) -> None:
    client = JsonClient(enforce_csrf_checks=True)
    client.force_login(owner)
    answer = client.send("post", f"/towns/{make_town(owner=owner).pk}/stop")
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/problem+json")
    assert "CSRF" in answer.json()["detail"]


def test_a_method_that_is_not_there(client: JsonClient) -> None:
    answer = client.delete("/api/v1/towns")
    assert answer.status_code == 405
    assert answer.json()["detail"] == "DELETE is not possible here, only GET, POST."


def test_a_key_is_for_one_version(client: JsonClient, owner: User) -> None:
    """Whoever corrects `If-Match` after a 412 asks for something else."""
    path, key = f"/towns/{make_town(owner=owner).pk}/stop", {"Idempotency-Key": "k9"}
    assert client.send("post", path, {}, **key, **{"If-Match": '"old"'}).status_code == 412
    again = client.send("post", path, {}, **key, **{"If-Match": "*"})
    assert again.status_code == 422
    assert "another request" in again.json()["detail"]


def test_what_breaks_under_a_key_is_no_lost_key(
    client: JsonClient, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any, **__: Any) -> Any:
        raise IntegrityError("of another table")

    monkeypatch.setattr(actions, "request_stop", breaks)
    path = f"/towns/{make_town(owner=owner).pk}/stop"
    with pytest.raises(IntegrityError, match="of another table"):
        client.send("post", path, {}, **{"Idempotency-Key": "k10"})
