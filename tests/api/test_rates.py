"""How often a caller may ask."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import make_user
from towns.api import rates
from towns.history import Actor
from towns.models import FlyBudget
from towns.tokens import create_token

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _three_at_once() -> Iterator[None]:
    forget()
    with override_settings(GASTOWN_API_RATE_PER_MINUTE=6, GASTOWN_API_BURST=3):
        yield
    forget()


def forget() -> None:
    """As in another process."""
    rates._buckets.cache_clear()
    rates._wrong_tokens.cache_clear()


def statuses(client: Client, count: int, **headers: str) -> list[int]:
    return [client.get("/api/v1/towns", headers=headers).status_code for _ in range(count)]


def test_it_works(client: Any, owner: User) -> None:
    answer = client.get("/api/v1/towns")
    assert answer["RateLimit-Policy"] == '"caller";q=6;w=60'
    assert answer["RateLimit"] == '"caller";r=2;t=10'
    assert statuses(client, 3) == [200, 200, 429]
    refused = client.get("/api/v1/towns")
    assert refused["Content-Type"] == "application/problem+json"
    assert 1 <= int(refused["Retry-After"]) <= 10
    assert refused["RateLimit"] == f'"caller";r=0;t={refused["Retry-After"]}'
    assert "at most 6 a minute" in refused.json()["detail"]


def test_all_processes_count_together(client: Any) -> None:
    assert statuses(client, 3) == [200] * 3
    forget()
    assert statuses(client, 1) == [429]


@override_settings(GASTOWN_API_RATE_PER_MINUTE=600, GASTOWN_API_BURST=100)
def test_a_busy_caller_costs_a_write_per_batch(client: Any) -> None:
    left = []
    with CaptureQueriesContext(connection) as captured:
        for _ in range(50):
            told = client.get("/api/v1/towns")["RateLimit"]
            left.append(int(told.partition("r=")[2].partition(";")[0]))
    writes = [one for one in captured if "budget" in one["sql"]]
    assert 5 <= len(writes) <= 9, "batches of 1, 2, 4, 8, 10, 10, …"
    assert left[0] == 99
    assert 50 <= left[-1] < 60
    assert max(later - earlier for earlier, later in pairwise(left)) < 10


def test_each_caller_has_their_own(client: Any) -> None:
    assert statuses(client, 4) == [200, 200, 200, 429]
    other = Client()
    other.force_login(make_user("other"))
    assert statuses(other, 1) == [200]


def test_a_token_counts_for_itself_whomever_it_acts_for() -> None:
    made = create_token(
        "gateway", ["towns:read", "owners:act"], actor=Actor.shell(), now=timezone.now()
    )
    bearer = {"Authorization": f"Bearer {made.secret}"}
    for number in range(3):
        assert statuses(Client(), 1, **bearer, **{"X-Gastown-User": f"u-{number}"}) == [200]
    assert statuses(Client(), 1, **bearer) == [429]


def test_tokens_and_sessions_of_one_owner_count_apart(client: Any, owner: User) -> None:
    mine = [
        create_token(
            name,
            ["towns:read"],
            actor=Actor.shell(),
            now=timezone.now(),
            owner=owner.get_username(),
        )
        for name in ("laptop", "phone")
    ]
    assert statuses(client, 4) == [200, 200, 200, 429]
    for made in mine:
        bearer = {"Authorization": f"Bearer {made.secret}"}
        assert statuses(Client(), 4, **bearer) == [200, 200, 200, 429]


def test_a_call_that_is_not_let_through_makes_no_owner() -> None:
    made = create_token(
        "gateway", ["towns:read", "owners:act"], actor=Actor.shell(), now=timezone.now()
    )
    bearer = {"Authorization": f"Bearer {made.secret}"}
    assert statuses(Client(), 3, **bearer) == [200] * 3
    assert statuses(Client(), 1, **bearer, **{"X-Gastown-User": "u-late"}) == [429]
    assert not User.objects.filter(username="u-late").exists()


def test_wrong_tokens_count_by_address() -> None:
    def ask(token: str, address: str) -> Any:
        bearer = {"Authorization": f"Bearer {token}"}
        return Client(REMOTE_ADDR=address).get("/api/v1/towns", headers=bearer)

    made = create_token("gateway", ["towns:read"], actor=Actor.shell(), now=timezone.now())
    tried = [ask(f"gto_{number}", "192.0.2.7") for number in range(4)]
    assert [one.status_code for one in tried] == [401, 401, 401, 429]
    assert 1 <= int(tried[-1]["Retry-After"]) <= 10
    assert "wrong tokens from your address" in tried[-1].json()["detail"]
    assert ask("gto_0", "192.0.2.8").status_code == 401
    assert ask(made.secret, "192.0.2.7").status_code == 200, "a neighbour's errors are not its own"
    assert FlyBudget.objects.count() == 1, "wrong ones cost no write"


def test_an_ipv6_network_counts_as_one_address() -> None:
    with override_settings(GASTOWN_CLIENT_IP_HEADER="Fly-Client-IP"):
        tried = [
            statuses(
                Client(),
                1,
                **{"Authorization": "Bearer gto_x", "Fly-Client-IP": f"2001:db8::{number}"},
            )
            for number in range(1, 5)
        ]
    assert tried == [[401], [401], [401], [429]]


def test_without_a_limit_anything_goes(client: Any) -> None:
    with override_settings(GASTOWN_API_RATE_PER_MINUTE=0):
        assert statuses(client, 9) == [200] * 9
