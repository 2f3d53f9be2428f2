"""Bearer tokens: what a machine may do, for itself and for owners."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import make_town, make_user
from towns.changes import InvalidChange
from towns.history import Actor
from towns.models import ApiToken, Operation, Town
from towns.scopes import Scope
from towns.tokens import Made, create_token, revoke_token

pytestmark = pytest.mark.django_db
SHELL = Actor.shell()
ALL = tuple(scope.value for scope in Scope)
Ask = Callable[..., Any]


def make(name: str = "gateway", scopes: tuple[str, ...] = ALL, **more: Any) -> Made:
    return create_token(name, scopes, actor=SHELL, now=timezone.now(), **more)


def ask(made: Made, method: str, path: str, body: Any = None, owner: str | None = None) -> Any:
    """The answer to a machine; `owner` is whom it acts for."""
    headers = {"Authorization": f"Bearer {made.secret}"}
    if owner is not None:
        headers["X-Gastown-User"] = owner
    given = {} if body is None else {"data": body, "content_type": "application/json"}
    return getattr(Client(enforce_csrf_checks=True), method)(
        f"/api/v1{path}", headers=headers, **given
    )


def detail(answer: Any) -> str:
    assert answer["Content-Type"] == "application/problem+json"
    told: str = json.loads(answer.content)["detail"]
    return told


def test_it_works() -> None:
    town, made = make_town(), make()
    answer = ask(made, "post", f"/towns/{town.pk}/stop", {})
    assert answer.status_code == 202
    assert Operation.objects.get().actor == "token:gateway"
    assert {one["id"] for one in ask(made, "get", "/towns").json()["items"]} == {str(town.pk)}


def test_looking_without_an_owner_is_no_visit() -> None:
    town = make_town(status="stopped", stop_reason="idle", desired_state="stopped")
    before = Town.objects.values().get()
    assert ask(make(), "get", f"/towns/{town.pk}").status_code == 200
    assert Town.objects.values().get() == before


def test_acting_for_an_owner_is_as_if_they_called_themselves() -> None:
    town, other, made = make_town(), make_town(), make()
    town = make_town(
        owner=town.owner, status="stopped", stop_reason="idle", desired_state="stopped"
    )
    name = town.owner.get_username()
    assert ask(made, "get", f"/towns/{town.pk}", owner=name).json()["status"] == "starting"
    operation = Operation.objects.get()
    assert operation.actor == f"{name} via gateway"
    assert operation.user == town.owner
    assert ask(made, "get", f"/towns/{other.pk}", owner=name).status_code == 404
    assert len(ask(made, "get", "/towns", owner=name).json()["items"]) == 2
    assert ask(made, "post", f"/towns/{town.pk}/recover", {}, owner=name).status_code == 403


def test_an_owner_is_made_without_a_password_on_first_use() -> None:
    answer = ask(make(), "post", "/towns", {"name": "mill", "region": "iad"}, owner="u-1042")
    assert answer.status_code == 201, answer.content
    owner = User.objects.get(username="u-1042")
    assert not owner.has_usable_password()
    assert Town.objects.get().owner == owner


def test_a_machine_names_the_owner_of_what_it_creates() -> None:
    made = make()
    assert "Name the owner" in detail(ask(made, "post", "/towns", {"name": "mill"}))
    body = {"name": "mill", "owner": "u-7", "region": "iad"}
    assert ask(made, "post", "/towns", body).status_code == 201
    assert Town.objects.get().owner.get_username() == "u-7"


@pytest.mark.parametrize("name", ["root", "token:gateway", "closed", "", "a b", "x" * 151])
def test_nobody_acts_for_staff_machines_or_the_closed(name: str) -> None:
    make_user("root", is_staff=True)
    make_user("closed", is_active=False)
    answer = ask(make(), "get", "/towns", owner=name)
    assert answer.status_code == 403
    assert "names no owner" in detail(answer)
    assert not User.objects.filter(username=name).exclude(
        username__in=("root", "token:gateway", "closed")
    )


@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        (Scope.READ, "get", "/towns", None),
        (Scope.READ, "get", "/towns/{town}", None),
        (Scope.READ, "get", "/towns/{town}/events", None),
        (Scope.WRITE, "post", "/towns", {"name": "mill", "owner": "u-7", "region": "iad"}),
        (Scope.WRITE, "patch", "/towns/{town}", {"auto_stop": False}),
        (Scope.WRITE, "post", "/towns/{town}/stop", {}),
        (Scope.WRITE, "post", "/towns/{town}/interactions", {}),
        (Scope.DESTROY, "post", "/towns/{town}/destroy", {"confirm": "harbour"}),
        (Scope.AUTOMATION, "post", "/automation/freeze", {"reason": "storm"}),
        (Scope.FLEET, "get", "/fleet", None),
        (Scope.FLEET, "get", "/alerts", None),
        (Scope.FLEET, "get", "/failures", None),
    ],
)
def test_what_a_scope_is_for(scope: Scope, method: str, path: str, body: Any) -> None:
    path = path.format(town=make_town(name="harbour").pk)
    others = tuple(one for one in ALL if one != scope)
    refused = ask(make("others", others), method, path, body)
    assert refused.status_code == 403, refused.content
    assert f"lacks the scope {scope}" in detail(refused)
    assert ask(make("with", ALL), method, path, body).status_code < 300
    assert Town.objects.exclude(owner__username="u-7").get().name == "harbour"


def test_scopes_hold_for_whom_it_acts_too() -> None:
    town, made = make_town(), make(scopes=(Scope.READ, Scope.OWNERS))
    owner = town.owner.get_username()
    assert ask(made, "get", f"/towns/{town.pk}", owner=owner).status_code == 200
    for path, body in (("stop", {}), ("destroy", {"confirm": town.name}), ("interactions", {})):
        answer = ask(made, "post", f"/towns/{town.pk}/{path}", body, owner=owner)
        assert "lacks the scope" in detail(answer), path
    assert ask(made, "patch", f"/towns/{town.pk}", {"auto_stop": False}, owner).status_code == 403
    reader = make("reader", (Scope.READ,))
    assert "owners:act" in detail(ask(reader, "get", "/towns", owner=owner))


def test_no_token_discards_data() -> None:
    town = make_town(name="harbour", last_snapshot="")
    body = {"confirm": "harbour", "discard": True}
    answer = ask(make(), "post", f"/towns/{town.pk}/destroy", body)
    assert answer.status_code == 403
    assert detail(answer) == "Only people may do that: no token can."


def test_one_that_works_no_more_is_refused() -> None:
    now = timezone.now()
    revoked, expired, closed = make("a"), make("b", expires_at=now + timedelta(days=1)), make("c")
    assert revoke_token("a", actor=SHELL, now=now)
    assert not revoke_token("a", actor=SHELL, now=now)
    ApiToken.objects.filter(name="b").update(expires_at=now)
    User.objects.filter(username="token:c").update(is_active=False)
    unknown = Made(revoked.token, "gto_unknown")
    for made in (revoked, expired, closed, unknown):
        answer = ask(made, "get", "/towns")
        assert answer.status_code == 401
        assert "unknown, revoked or expired" in detail(answer)


def test_its_secret_is_kept_nowhere_and_its_use_is_noted_once_a_minute(
    django_assert_num_queries: Any,
) -> None:
    made = make()
    row = ApiToken.objects.values().get()
    assert made.secret not in str(row)
    assert made.secret not in repr(made)
    assert row["last_used_at"] is None
    ask(made, "get", "/towns")
    used = ApiToken.objects.get().last_used_at
    assert used is not None
    ask(made, "get", "/towns")
    assert ApiToken.objects.get().last_used_at == used


@pytest.mark.parametrize(
    ("name", "scopes", "field"),
    [
        ("", ALL, "name"),
        ("Gateway!", ALL, "name"),
        ("x" * 61, ALL, "name"),
        ("gateway", (), "scopes"),
        ("gateway", ("towns:all",), "scopes"),
        ("taken", ALL, "name"),
    ],
)
def test_a_senseless_token_is_refused(name: str, scopes: tuple[str, ...], field: str) -> None:
    make("taken")
    with pytest.raises(InvalidChange) as caught:
        make(name, scopes)
    assert caught.value.field == field
    assert ApiToken.objects.count() == 1
    assert User.objects.count() == 1


def test_one_of_an_owner_acts_for_them_alone() -> None:
    town, other = make_town(), make_town()
    name = town.owner.get_username()
    made = make(scopes=(Scope.READ, Scope.WRITE), owner=name)
    assert [one["id"] for one in ask(made, "get", "/towns").json()["items"]] == [str(town.pk)]
    assert ask(made, "get", f"/towns/{other.pk}").status_code == 404
    assert ask(made, "get", "/fleet").status_code == 403
    answer = ask(made, "post", f"/towns/{town.pk}/stop", {}, owner=name)
    assert answer.status_code == 202
    assert Operation.objects.get().actor == f"{name} via gateway"
    refused = ask(made, "get", "/towns", owner=other.owner.get_username())
    assert "acts for another owner" in detail(refused)
    User.objects.filter(pk=town.owner.pk).update(is_active=False)
    assert ask(made, "get", "/towns").status_code == 401


@pytest.mark.parametrize(
    ("owner", "scopes", "field"),
    [("root", (Scope.READ,), "owner"), ("a b", (Scope.READ,), "owner"), ("ann", ALL, "scopes")],
)
def test_whom_a_token_can_not_be_tied_to(owner: str, scopes: tuple[Scope, ...], field: str) -> None:
    make_user("root", is_staff=True)
    with pytest.raises(InvalidChange) as caught:
        make(scopes=scopes, owner=owner)
    assert caught.value.field == field
