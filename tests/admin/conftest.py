"""What the tests of the admin share."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import make_user


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
