"""Tokens in the admin."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from tests.admin.conftest import page
from tests.factories import make_user
from towns.access_table import ADMIN
from towns.history import Actor
from towns.models import ApiToken
from towns.scopes import Scope, permissions_of
from towns.tokens import create_token, recognise, revoke_token

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/apitoken/"


def test_it_works(admin: Client) -> None:
    assert "see towns and their history" in page(admin, f"{LIST}add/")
    form = {"name": "gateway", "scopes": ["towns:read", "owners:act"]}
    answer = admin.post(f"{LIST}add/", form)
    found = re.search(r"gto_[\w-]{40,}", answer.content.decode())
    assert found is not None
    assert "no-store" in answer["Cache-Control"]
    token = recognise(found.group(), timezone.now())
    assert token is not None
    assert (token.name, token.created_by) == ("gateway", "root")
    for path in (LIST, f"{LIST}{token.pk}/change/"):
        assert "owners:act" in page(admin, path)
        assert found.group() not in page(admin, path)


def test_what_it_can_not_be_is_told(admin: Client) -> None:
    answer = admin.post(f"{LIST}add/", {"name": "Gateway!", "scopes": ["towns:read"]})
    assert "lower-case letters" in answer.content.decode()
    assert "This field is required" in admin.post(f"{LIST}add/", {"name": "x"}).content.decode()
    assert not ApiToken.objects.exists()


def test_one_can_be_made_for_one_owner(admin: Client) -> None:
    form = {"name": "mobile", "scopes": ["towns:read"], "owner": "ann"}
    admin.post(f"{LIST}add/", form)
    assert str(ApiToken.objects.get().owner) == "ann"
    assert "ann" in page(admin, LIST)
    form = {"name": "other", "scopes": ["towns:read"], "owner": "root"}
    assert "is no owner" in admin.post(f"{LIST}add/", form).content.decode()


def test_nobody_gives_a_machine_what_they_may_not_do(staff: Callable[..., Client]) -> None:
    maker = staff("view_apitoken", "add_apitoken", "view_town")
    for scope in ("towns:destroy", "webhooks:write", "automation:write", "fleet:read"):
        form = {"name": "mill", "scopes": ["towns:read", scope]}
        told = maker.post(f"{LIST}add/", form).content.decode()
        assert f"{scope} allows more than you may do yourself: towns." in told
    assert not ApiToken.objects.exists()
    maker.post(f"{LIST}add/", {"name": "mill", "scopes": ["towns:read", "owners:act"]})
    assert ApiToken.objects.get().scopes == ["owners:act", "towns:read"]


def test_an_administrator_can_give_every_scope() -> None:
    for scope in Scope:
        assert {f"towns.{name}" for name in permissions_of(scope)} <= ADMIN, scope


def test_revoking(admin: Client) -> None:
    made = create_token("gateway", ["towns:read"], actor=Actor.shell(), now=timezone.now())
    form = {"action": "revoke", "_selected_action": [made.token.pk]}
    assert "Revoked: gateway." in admin.post(LIST, form, follow=True).content.decode()
    assert recognise(made.secret, timezone.now()) is None
    assert "None of them worked" in admin.post(LIST, form, follow=True).content.decode()


@pytest.mark.parametrize("kept", ["is_staff", "is_active"])
def test_whose_account_is_closed_leaves_tokens_that_are_told(admin: Client, kept: str) -> None:
    ann = make_user("ann", is_staff=True)
    now = timezone.now()
    for name in ("gateway", "mill"):
        create_token(name, ["towns:read"], actor=Actor.person(ann), now=now)
    revoke_token("mill", actor=Actor.shell(), now=now)
    path = f"/admin/auth/user/{ann.pk}/change/"
    form = {"username": "ann", "is_staff": "on", "is_active": "on"}
    assert "still work" not in admin.post(path, form, follow=True).content.decode()
    told = admin.post(path, {"username": "ann", kept: "on"}, follow=True).content.decode()
    assert "ann made tokens that still work: gateway." in told


def test_it_takes_permissions(staff: Callable[..., Client]) -> None:
    made = create_token("gateway", ["towns:read"], actor=Actor.shell(), now=timezone.now())
    viewer = staff("view_apitoken")
    assert "gateway" in page(viewer, LIST)
    assert viewer.get(f"{LIST}add/").status_code == 403
    viewer.post(LIST, {"action": "revoke", "_selected_action": [made.token.pk]})
    assert recognise(made.secret, timezone.now()) is not None
