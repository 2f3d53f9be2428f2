"""Who may open the WebSocket to a town, and how often."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from django.utils import timezone

from tests.factories import make_user
from tests.live.talking import connect, first, path, refusal, say
from towns.api import rates
from towns.history import Actor
from towns.live.origin import ANOTHER_SITE
from towns.models import Town
from towns.tokens import create_token

pytestmark = pytest.mark.django_db(transaction=True)


@override_settings(GASTOWN_STAFF_TWO_FACTOR=True)
def test_staff_without_their_second_factor_are_refused(town: Town) -> None:
    staff = make_user("staff", is_staff=True, permissions=("view_town",))
    status, detail = connect(staff, f"/live/towns/{town.pk}", refusal)
    assert (status, detail) == (401, "Sign in first.")


def test_who_is_refused(town: Town) -> None:
    assert connect(None, path(town), refusal) == (401, "Sign in first.")
    assert connect(make_user("other"), path(town), refusal) == (404, "There is no such town.")
    new = make_user("new", is_staff=True)
    assert connect(new, path(town), refusal)[0] == 403
    assert connect(town.owner, "/live/harbour", refusal)[0] == 404


def test_a_gateway_opens_it_for_an_owner(town: Town) -> None:
    scopes = ["towns:read", "owners:act"]
    made = create_token("gateway", scopes, actor=Actor.shell(), now=timezone.now())
    bearer = (b"authorization", f"Bearer {made.secret}".encode())
    before = town.last_interaction_at
    assert connect(None, path(town), first, more=[bearer])["id"] == str(town.pk)
    town.refresh_from_db()
    assert town.last_interaction_at == before, "it acts for nobody"
    owner = (b"x-gastown-user", town.owner.get_username().encode())
    assert connect(None, path(town), first, more=[bearer, owner])["id"] == str(town.pk)
    town.refresh_from_db()
    assert town.last_interaction_kind == "websocket"
    wrong = (b"authorization", b"Bearer gto_wrong")
    assert connect(None, path(town), refusal, more=[wrong])[0] == 401


@pytest.fixture
def three_at_once() -> Iterator[None]:
    with override_settings(GASTOWN_API_RATE_PER_MINUTE=6, GASTOWN_API_BURST=3):
        yield
    for kept in (rates._buckets, rates._wrong_tokens):
        kept.cache_clear()


@pytest.mark.usefixtures("three_at_once")
def test_opening_one_is_a_call_of_its_token(town: Town) -> None:
    scopes = ["towns:read", "owners:act"]
    made = create_token("gateway", scopes, actor=Actor.shell(), now=timezone.now())
    bearer = (b"authorization", f"Bearer {made.secret}".encode())
    for _ in range(3):
        assert connect(None, path(town), first, more=[bearer])["id"] == str(town.pk)
    new = (b"x-gastown-user", b"u-late")
    status, detail = connect(None, path(town), refusal, more=[bearer, new])
    assert status == 429
    assert "at most 6 a minute" in detail
    assert not User.objects.filter(username="u-late").exists()


@pytest.mark.usefixtures("three_at_once")
def test_opening_one_is_a_call_of_whoever_is_signed_in(town: Town) -> None:
    for _ in range(3):
        connect(town.owner, path(town), first)
    assert connect(town.owner, path(town), refusal)[0] == 429


@pytest.mark.usefixtures("three_at_once")
def test_wrong_tokens_count_by_address(town: Town) -> None:
    wrong = [(b"authorization", b"Bearer gto_wrong"), (b"fly-client-ip", b"192.0.2.7")]
    with override_settings(GASTOWN_CLIENT_IP_HEADER="Fly-Client-IP"):
        tried = [connect(None, path(town), refusal, more=wrong)[0] for _ in range(4)]
    assert tried == [401, 401, 401, 429]


@pytest.mark.usefixtures("three_at_once")
def test_what_is_said_in_an_open_one_is_no_call(town: Town) -> None:
    async def talk(line: Any) -> None:
        await first(line)
        for _ in range(5):
            await say(line, "hello")

    connect(town.owner, path(town), talk)
    assert connect(town.owner, path(town), first)["id"] == str(town.pk)


EVIL = (b"origin", b"https://evil.example")


@pytest.mark.parametrize("origin", [EVIL, (b"origin", b"http://["), (b"x-none", b"")])
def test_another_site_can_open_none(town: Town, origin: tuple[bytes, bytes]) -> None:
    status, detail = connect(town.owner, path(town), refusal, origin=origin)
    assert status == 403
    assert detail == ANOTHER_SITE.detail


@pytest.mark.parametrize("origin", [EVIL, (b"x-none", b"")])
def test_a_machine_has_no_origin(town: Town, origin: tuple[bytes, bytes]) -> None:
    made = create_token("gateway", ["towns:read"], actor=Actor.shell(), now=timezone.now())
    bearer = (b"authorization", f"Bearer {made.secret}".encode())
    opened = connect(None, path(town), first, origin=origin, more=[bearer])
    assert opened["id"] == str(town.pk)


def test_a_token_beside_a_cookie_is_what_counts(town: Town) -> None:
    """Another site may have a browser send the cookie; a token it has not."""
    wrong = (b"authorization", b"Bearer gto_wrong")
    assert connect(town.owner, path(town), refusal, origin=EVIL, more=[wrong])[0] == 401
    basic = (b"authorization", b"Basic YTpi")
    assert connect(town.owner, path(town), refusal, origin=EVIL, more=[basic])[0] == 403
