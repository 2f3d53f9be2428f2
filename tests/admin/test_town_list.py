"""The list of towns."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.admin.conftest import awake_town, page, queries
from tests.factories import make_operation, make_town, make_user
from towns.models import Operation
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/town/"


def test_it_works(admin: Client) -> None:
    town = awake_town()
    text = page(admin, LIST)
    assert str(town) in text
    for shown in ("running", "ok", "10 min ago", "(visit)", "20 min"):
        assert shown in text


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "20 min"),
        ({"health": {"polecats_active": 2}}, "polecats"),
        ({"auto_stop": False}, "auto stop off"),
        ({"hold_reason": "looked at"}, "hold"),
        ({"keep_awake_until": timezone.now() + timedelta(hours=3, minutes=30)}, ">3 h"),
        ({"last_result": "unknown"}, "unknown health"),
        ({"last_interaction_at": timezone.now() - timedelta(hours=1)}, "at the next sweep"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_idle_time_left_or_what_holds_it(admin: Client, fields: dict[str, Any], told: str) -> None:
    awake_town(**fields)
    text = page(admin, LIST).partition('class="field-idle_left')[2].partition("</td>")[0]
    assert told in text


def test_a_town_that_is_not_awake_has_no_idle_time(admin: Client) -> None:
    awake_town(status=Status.STOPPED)
    cell = re.search(
        r'<td class="[^"]*field-idle_left[^"]*"[^>]*>\s*([^<]*?)\s*<', page(admin, LIST)
    )
    assert cell is not None
    assert cell.group(1) == "-"


def test_failures_in_a_row_are_told(admin: Client) -> None:
    awake_town(status=Status.UNHEALTHY, last_result="failed", consecutive_failures=3)
    assert "failed 3x" in page(admin, LIST)


def test_the_operation_under_way_is_told(admin: Client) -> None:
    operation = make_operation(awake_town(), OperationKind.STOP, step="await_snapshot")
    text = page(admin, LIST)
    assert "stop: await snapshot" in text
    assert f"/admin/towns/operation/{operation.pk}/change/" in text


def test_the_destroyed_are_left_out_unless_asked_for(admin: Client) -> None:
    make_town(name="gone", status=Status.DESTROYED, destroyed_at=timezone.now())
    assert "gone" not in page(admin, LIST)
    assert "gone" in page(admin, f"{LIST}?life=destroyed")


def test_a_town_that_is_being_restored_is_among_the_living(admin: Client) -> None:
    make_town(name="back", status=Status.RESTORING, destroyed_at=timezone.now())
    assert "back" in page(admin, LIST)


@pytest.mark.parametrize(
    "query",
    [
        "status__exact=stopped",
        "region=ams",
        "last_result__exact=failed",
        "desired_state__exact=stopped",
        "auto_stop__exact=0",
    ],
)
def test_filters(admin: Client, query: str) -> None:
    make_town(
        name="wanted",
        status=Status.STOPPED,
        desired_state="stopped",
        region="ams",
        last_result="failed",
        auto_stop=False,
    )
    make_town(name="other")
    text = page(admin, f"{LIST}?{query}")
    assert "/wanted" in text
    assert "/other" not in text


def test_search_by_name_owner_and_id(admin: Client) -> None:
    town = make_town(name="harbour", owner=make_user("carol"))
    make_town(name="mill")
    for term in ("harb", "carol", "carol/harbour", str(town.pk), town.machine_id):
        text = page(admin, f"{LIST}?q={term}")
        assert "carol/harbour" in text, term
        assert "/mill" not in text, term


def test_a_search_that_finds_nothing(admin: Client) -> None:
    town = make_town(name="mill")
    for term in ("nobody/mill", "00000000-0000-0000-0000-000000000000", "/", "%"):
        assert str(town.pk) not in page(admin, f"{LIST}?q={term}"), term


def test_50_towns_cost_no_more_queries_than_5(admin: Client) -> None:
    for _ in range(5):
        make_operation(awake_town(), OperationKind.BACKUP)
    page(admin, LIST)  # which regions there are is kept
    few = queries(admin, LIST)
    for _ in range(45):
        make_operation(awake_town(), OperationKind.BACKUP)
    assert queries(admin, LIST) == few


def test_looking_is_no_interaction(admin: Client) -> None:
    """coder #12012: the owner's clock stands still while staff look."""
    town = awake_town(status=Status.STOPPED, stop_reason="idle", desired_state="stopped")
    before = town.last_interaction_at
    page(admin, LIST)
    town.refresh_from_db()
    assert (town.last_interaction_at, town.status) == (before, Status.STOPPED)
    assert not Operation.objects.exists()


def test_without_permission_there_is_no_list(staff: Callable[..., Client]) -> None:
    assert staff().get(LIST).status_code == 403
    assert staff("view_town").get(LIST).status_code == 200
