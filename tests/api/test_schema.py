"""The OpenAPI document holds what the server does: asked by a machine that makes requests up."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.serving import serving
from tests.factories import make_town
from towns.api.application import api
from towns.history import Actor
from towns.scopes import Scope
from towns.tokens import create_token

schema = schemathesis.openapi.from_dict(api.get_openapi_schema())
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of the running server."""
    with serving() as address:
        yield address


@pytest.fixture
def bearer(transactional_db: None) -> dict[str, str]:
    """The headers of a machine that may do everything, in a fleet that has a town."""
    cache.clear()
    make_town(name="harbour")
    scopes = [scope.value for scope in Scope]
    made = create_token("machine", scopes, actor=Actor.shell(), now=timezone.now())
    return {"Authorization": f"Bearer {made.secret}"}


@schema.parametrize()
@settings(
    max_examples=10,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
    deadline=None,
    database=None,
)
def test_views_hold_to_the_document(case: Any, server: str, bearer: dict[str, str]) -> None:
    case.headers.pop("X-Gastown-User", None)  # as itself it may do more, and so gets further
    answer = case.call_and_validate(base_url=server, headers=bearer, checks=CHECKS)
    assert answer.headers["server"] == ["uvicorn"]


@pytest.mark.django_db(transaction=True)
def test_the_server_serves_the_document(server: str) -> None:
    answer = requests.get(f"{server}/api/v1/openapi.json", timeout=30)
    assert (answer.status_code, answer.headers["server"]) == (200, "uvicorn")
    assert answer.json() == schema.raw_schema


@pytest.mark.django_db
def test_every_view_tells_how_it_refuses(client: Client) -> None:
    document = client.get("/api/v1/openapi.json").json()
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert len(operations) > 20
    for one in operations:
        refused = one["responses"]["default"]["content"]
        assert list(refused) == ["application/problem+json"], one["operationId"]
    assert {"TokenAuth", "SessionAuth"} == set(document["components"]["securitySchemes"])


@pytest.mark.django_db
def test_headers_are_told_where_they_are_read(client: Client) -> None:
    document = client.get("/api/v1/openapi.json").json()
    told = {
        (method, path.removeprefix("/api/v1")): {
            one["$ref"].rpartition("/")[2] for one in operation["parameters"] if "$ref" in one
        }
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    town = "/towns/{town_id}"
    assert told["get", town] == {"ActingFor", "IfNoneMatch"}
    assert told["patch", town] == {"ActingFor", "IfMatch", "IdempotencyKey"}
    assert told["post", f"{town}/stop"] == {"ActingFor", "IfMatch", "IdempotencyKey"}
    assert told["post", f"{town}/interactions"] == {"ActingFor", "IdempotencyKey"}
    assert told["patch", "/webhooks/{webhook_id}"] == {"ActingFor", "IfMatch"}
    assert told["delete", "/webhooks/{webhook_id}"] == {"ActingFor", "IfMatch"}
    assert told["post", "/webhooks"] == {"ActingFor", "IdempotencyKey"}
    assert told["get", "/fleet"] == {"ActingFor"}
    assert document["components"]["schemas"]["NewTown"]["example"]["name"] == "harbour"
