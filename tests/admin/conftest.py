"""What the tests of the admin share."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import make_town, make_user
from towns.models import Town


def page(client: Client, path: str) -> str:
    """The text of a page, which has to be there."""
    answer = client.get(path)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return answer.content.decode()


def queries(client: Client, path: str) -> int:
    """How many statements a page costs."""
    with CaptureQueriesContext(connection) as captured:
        page(client, path)
    return len(captured)


def awake_town(**fields: Any) -> Town:
    """A town that runs, is well, and was used ten minutes ago."""
    now = timezone.now()
    values = {
        "last_interaction_at": now - timedelta(minutes=10),
        "last_interaction_kind": "visit",
        "awake_since": now - timedelta(hours=2),
        "last_checked_at": now,
        "last_result": "ok",
        "health": {"polecats_active": 0},
    }
    return make_town(**{**values, **fields})


@pytest.fixture
def admin(client: Client) -> Client:
    """A superuser's."""
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def staff() -> Callable[..., Client]:
    """A client of staff with just these permissions."""

    def make(*permissions: str) -> Client:
        client = Client()
        client.force_login(make_user(is_staff=True, permissions=permissions))
        return client

    return make
