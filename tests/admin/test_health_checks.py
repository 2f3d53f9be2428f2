"""Health checks in the admin."""

import pytest
from django.test import Client

from tests.admin.conftest import page
from tests.factories import NOW, make_town
from towns.models import HealthCheck

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/healthcheck/"


def test_it_works(admin: Client) -> None:
    town = make_town()
    check = HealthCheck.objects.create(
        town=town,
        checked_at=NOW,
        result="failed",
        kind="dolt_down",
        reason="Dolt is down.",
        latency_ms=31,
        polecats_active=2,
        polecats_total=3,
        disk_used=1_200_000_000,
        disk_total=50_000_000_000,
    )
    for path in (LIST, f"{LIST}{check.pk}/change/"):
        text = page(admin, path)
        for shown in (str(town), "failed", "Dolt is down.", "31 ms", "2 active of 3", "(2 %)"):
            assert shown in text, shown


def test_what_is_unknown_is_not_zero(admin: Client) -> None:
    check = HealthCheck.objects.create(town=make_town(), checked_at=NOW, result="unknown")
    text = page(admin, f"{LIST}{check.pk}/change/")
    assert text.count("unknown") >= 5  # result, polecats, disk, memory, CPU
    assert "0 active" not in text
    assert "0 B" not in text


@pytest.mark.parametrize("query", ["result__exact=failed", "kind__exact=timeout"])
def test_filters(admin: Client, query: str) -> None:
    HealthCheck.objects.create(
        town=make_town(name="wanted"), checked_at=NOW, result="failed", kind="timeout"
    )
    HealthCheck.objects.create(town=make_town(name="other"), checked_at=NOW, result="ok")
    text = page(admin, f"{LIST}?{query}")
    assert "/wanted" in text
    assert "/other" not in text
