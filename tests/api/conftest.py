"""What the tests of the API share: people, and clients that are signed in."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import make_user

STAFF = (
    "view_town",
    "add_town",
    "change_town",
    "start_town",
    "stop_town",
    "restart_town",
    "recover_town",
    "backup_town",
    "destroy_town",
    "restore_town",
)


class JsonClient(Client):
    """Sends JSON."""

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The response to a request with a JSON body."""
        given = {"data": body if body is not None else {}, "content_type": "application/json"}
        return getattr(self, method)(f"/api/v1{path}", headers=headers, **given)


@pytest.fixture
def owner() -> User:
    """Owns towns."""
    return make_user("alice")


@pytest.fixture
def sign_in() -> Callable[[User], JsonClient]:
    """A client for somebody."""

    def make(user: User) -> JsonClient:
        client = JsonClient()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def client(owner: User, sign_in: Callable[[User], JsonClient]) -> JsonClient:
    """The owner's."""
    return sign_in(owner)


@pytest.fixture
def staff(sign_in: Callable[[User], JsonClient]) -> JsonClient:
    """An operator's, who may do everything but discard data."""
    return sign_in(make_user("sam", is_staff=True, permissions=STAFF))


@pytest.fixture
def stranger(sign_in: Callable[[User], JsonClient]) -> JsonClient:
    """Another owner's."""
    return sign_in(make_user("bob"))
