"""What the dashboard's tests share."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import make_town, make_user
from towns.models import Town


@pytest.fixture
def owner() -> User:
    """Owns towns."""
    return make_user("alice")


@pytest.fixture
def client(owner: User) -> Client:
    """The owner's."""
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def awake(owner: User) -> Callable[..., Town]:
    """Makes a town of the owner that runs, is well, and was used ten minutes ago."""

    def make(**fields: Any) -> Town:
        now = timezone.now()
        values: dict[str, Any] = {
            "owner": owner,
            "name": "mill",
            "last_interaction_at": now - timedelta(minutes=10),
            "last_interaction_kind": "visit",
            "awake_since": now - timedelta(hours=2),
            "last_checked_at": now,
            "last_result": "ok",
            "last_backup_at": now - timedelta(minutes=3),
            "health": {"polecats_active": 0, "disk_used": 3_000_000_000, "disk_total": 5e10},
        }
        return make_town(**{**values, **fields})

    return make


@pytest.fixture
def asleep(awake: Callable[..., Town]) -> Callable[..., Town]:
    """Makes one that sleeps for being idle."""

    def make(**fields: Any) -> Town:
        sleep = {"status": "stopped", "stop_reason": "idle", "desired_state": "stopped"}
        return awake(**{**sleep, **fields})

    return make
