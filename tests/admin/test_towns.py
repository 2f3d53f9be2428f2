"""The list of towns and a town's page."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import make_operation, make_town, make_user
from towns import addresses, history
from towns.history import Actor
from towns.models import Operation, Town
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/town/"


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return answer.content.decode()


def awake_town(**fields: Any) -> Town:
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


def test_it_works(admin: Client) -> None:
    town = awake_town()
    text = page(admin, LIST)
    assert str(town) in text
    for shown in ("running", "ok", "10 min ago", "(visit)", "20 min"):
        assert shown in text


def test_what_holds_it_awake_is_told(admin: Client) -> None:
    awake_town(health={"polecats_active": 2})
    assert "polecats" in page(admin, LIST)


def test_the_destroyed_are_left_out_unless_asked_for(admin: Client) -> None:
    make_town(name="gone", status=Status.DESTROYED, destroyed_at=timezone.now())
    assert "gone" not in page(admin, LIST)
    assert "gone" in page(admin, f"{LIST}?life=destroyed")


@pytest.mark.parametrize(
    "query", ["status__exact=stopped", "region=ams", "last_result__exact=failed"]
)
def test_filters(admin: Client, query: str) -> None:
    make_town(name="wanted", status=Status.STOPPED, region="ams", last_result="failed")
    make_town(name="other")
    text = page(admin, f"{LIST}?{query}")
    assert "wanted" in text
    assert "other" not in text


def test_search_by_name_owner_and_id(admin: Client) -> None:
    town = make_town(name="harbour", owner=make_user("carol"))
    make_town(name="mill")
    for term in ("harb", "carol", "carol/harbour", str(town.pk), town.machine_id):
        text = page(admin, f"{LIST}?q={term}")
        assert "carol/harbour" in text, term
        assert "/mill" not in text, term


def test_a_list_costs_a_fixed_number_of_queries(admin: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(admin, LIST)
        return len(captured)

    for _ in range(3):
        make_operation(awake_town(), OperationKind.BACKUP)
    few = count()
    for _ in range(30):
        make_operation(awake_town(), OperationKind.BACKUP)
    assert count() == few


def test_the_page_tells_all(admin: Client) -> None:
    town = awake_town(health={"polecats_active": 0, "disk_used": 1_200_000_000, "disk_total": 5e10})
    history.record(town, "changed", actor=Actor("ann"), now=timezone.now(), reason="for a test")
    operation = make_operation(town, OperationKind.STOP, step="await_snapshot")
    operation.log = [{"step": "note_pointer", "at": timezone.now().isoformat(), "note": "2026"}]
    operation.save()
    text = page(admin, f"{LIST}{town.pk}/change/")
    for shown in ("1.2 GB of 50.0 GB", "for a test", "note pointer", "await snapshot", "Under way"):
        assert shown in text, shown


def test_looking_is_no_interaction(admin: Client) -> None:
    """coder #12012: the owner's clock stands still while staff look."""
    town = awake_town(status=Status.STOPPED, stop_reason="idle", desired_state="stopped")
    before = town.last_interaction_at
    page(admin, LIST)
    page(admin, f"{LIST}{town.pk}/change/")
    town.refresh_from_db()
    assert (town.last_interaction_at, town.status) == (before, Status.STOPPED)
    assert not Operation.objects.exists()


def test_settings_are_changed_through_history(admin: Client) -> None:
    town = awake_town()
    answer = admin.post(
        f"{LIST}{town.pk}/change/",
        {"idle_timeout_minutes": 45, "auto_stop": "on", "hold_reason": ""},
    )
    assert answer.status_code == 302, answer.content.decode()[:2000]
    assert town.events.get(kind="changed").data == {"idle_timeout_minutes": {"from": 30, "to": 45}}


def test_a_senseless_setting_is_refused(admin: Client) -> None:
    town = awake_town()
    answer = admin.post(f"{LIST}{town.pk}/change/", {"idle_timeout_minutes": 3, "auto_stop": "on"})
    assert "5 to 480 minutes" in answer.content.decode()


def test_a_town_is_made(admin: Client) -> None:
    User.objects.create(username="carol")
    form = {"owner_name": "carol", "name": "mill", "region": "iad", "idle_timeout_minutes": 30}
    answer = admin.post(f"{LIST}add/", form)
    assert answer.status_code == 302, answer.content.decode()[:3000]
    assert Operation.objects.get().kind == "provision"


def test_nothing_is_deleted_by_hand(admin: Client) -> None:
    town = make_town()
    assert admin.post(f"{LIST}{town.pk}/delete/", {"post": "yes"}).status_code == 403


def test_without_permission_there_is_no_list(staff: Callable[..., Client]) -> None:
    assert staff().get(LIST).status_code == 403
    assert staff("view_town").get(LIST).status_code == 200


def test_no_secret_is_on_any_page(admin: Client) -> None:
    """Invariant 11."""
    town = awake_town()
    make_operation(town, OperationKind.PROVISION, step="ensure_volume")
    for path in (LIST, f"{LIST}{town.pk}/change/"):
        text = page(admin, path)
        for secret in (addresses.town_key(town), "fly-token-for-tests", "r2-secret-for-tests"):
            assert secret not in text
