"""Health checks in the admin."""

from datetime import timedelta

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
    assert "0 active of" not in text
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


def test_the_list_is_of_a_day_or_of_a_town(admin: Client) -> None:
    town, other = make_town(name="mill"), make_town(name="quarry")
    for days, name in ((0, "said last"), (1, "said before"), (2, "said long ago")):
        HealthCheck.objects.create(
            town=town, checked_at=NOW - timedelta(days=days), result="ok", reason=name
        )
    HealthCheck.objects.create(town=other, checked_at=NOW, result="ok", reason="said elsewhere")

    def shown(query: str) -> set[str]:
        text = page(admin, f"{LIST}?{query}")
        return {
            name
            for name in ("said last", "said before", "said long ago", "said elsewhere")
            if name in text
        }

    assert shown("") == {"said last", "said elsewhere"}
    assert shown(f"day={NOW - timedelta(days=1):%Y-%m-%d}") == {"said before"}
    assert shown(f"town__id__exact={town.pk}") == {"said last", "said before", "said long ago"}
    assert shown(f"town__id__exact={town.pk}&day={NOW:%Y-%m-%d}") == {"said last"}
    for nonsense in ("day=x", "day=9999-12-31"):
        assert shown(nonsense) == {"said last", "said elsewhere"}


def test_a_fleet_without_checks_has_an_empty_list(admin: Client) -> None:
    page(admin, LIST)
