"""`/healthz` and `/readyz`."""

from unittest import mock

import pytest
from django.db import OperationalError
from django.test import Client

from towns import probes


def test_it_works(client: Client) -> None:
    """Without a database."""
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_ready_means_a_migrated_database(client: Client) -> None:
    assert client.get("/readyz").json() == {"status": "ready"}


def test_without_a_database_it_is_not_ready(client: Client) -> None:
    with mock.patch.object(probes, "MigrationExecutor", side_effect=OperationalError):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "The database does not answer."
