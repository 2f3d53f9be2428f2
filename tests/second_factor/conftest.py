"""Two-factor login is on."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group, User
from django.test import override_settings

from tests.factories import make_user


@pytest.fixture(autouse=True)
def two_factors() -> Iterator[None]:
    with override_settings(GASTOWN_STAFF_TWO_FACTOR=True):
        yield


@pytest.fixture
def staff(db: None) -> User:
    """A Viewer, `ann`, whose password is pw and who has no authenticator."""
    user = make_user("ann", is_staff=True)
    user.groups.add(Group.objects.get(name="Viewer"))
    return user
