"""What the tests of webhooks share: an endpoint, a town's events, a receiver that can be broken."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import responses

from tests.factories import NOW, make_town, make_user
from towns import history
from towns.history import Actor
from towns.models import LifecycleEvent, Town, WebhookEndpoint
from towns.webhooks.endpoints import Made, create_webhook

ANN = Actor("ann")
URL = "https://hooks.example.test/T0KEN-in-path?key=s3cret"


def after(seconds: float) -> datetime:
    """So many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def make_webhook(**fields: Any) -> Made:
    """One of the whole fleet, unless `fields` say otherwise."""
    values: dict[str, Any] = {"name": "billing", "url": URL, "actor": ANN, "now": NOW}
    return create_webhook(**{**values, **fields})


def happen(town: Town, kind: str = "changed", **fields: Any) -> LifecycleEvent:
    """Something happens to a town."""
    return history.record(town, kind, actor=ANN, now=NOW, **fields)


def anew(endpoint: WebhookEndpoint | UUID) -> WebhookEndpoint:
    """As it is now."""
    pk = endpoint if isinstance(endpoint, UUID) else endpoint.pk
    return WebhookEndpoint.objects.get(pk=pk)


@pytest.fixture
def mill() -> Town:
    """ann/mill."""
    return make_town(owner=make_user("ann"), name="mill")


@pytest.fixture
def receiver() -> Iterator[responses.RequestsMock]:
    """Whoever listens at URL."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock
