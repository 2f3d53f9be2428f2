"""Bulk work in the admin."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.admin.conftest import page
from tests.bulk_work.conftest import end
from tests.factories import NOW, make_town
from towns.admin.bulk_run import _lines
from towns.bulk_work import deciding
from towns.bulk_work.advance import advance
from towns.models import BulkRun, Operation
from towns.words import Status

pytestmark = pytest.mark.django_db
TOWNS, RUNS = "/admin/towns/town/", "/admin/towns/bulkrun/"
FORM = {"reason": "moving hosts", "canaries": 0, "at_once": 5, "failures_allowed": 2}


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "call_worker", lambda: None)


def planned(client: Client, towns: list[Any], query: str = "", **more: str) -> BulkRun:
    """The run that is planned for a selection."""
    form = {"action": "bulk_stop", "_selected_action": [town.pk for town in towns], **more}
    answer = client.post(f"{TOWNS}{query}", form)
    run = BulkRun.objects.get()
    assert answer.headers["Location"] == f"{RUNS}{run.pk}/change/"
    return run


def test_it_works(admin: Client) -> None:
    towns = [make_town(name=f"town-{n}", health={"polecats_active": 1}) for n in range(3)]
    make_town(name="left-alone")
    run = planned(admin, towns)
    path = f"{RUNS}{run.pk}/"
    text = page(admin, f"{path}change/")
    assert "3 towns: stop" in text
    assert "Agents are at work in them: 3." in text
    admin.post(f"{path}begin", FORM)
    advance(run.pk, NOW)
    text = page(admin, f"{path}change/")
    assert 'data-refresh="3"' in text
    assert "0 of 3 towns" in text
    assert Operation.objects.count() == 3
    end("succeeded", count=2)
    end("failed", message="no capacity")
    advance(run.pk, NOW)
    text = page(admin, f"{path}change/")
    assert "3 of 3 towns" in text
    assert "no capacity" in text
    answer = admin.get(f"{path}result.csv")
    told = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(told)))
    assert sorted(row["result"] for row in rows) == ["done", "done", "failed"]
    assert "moving hosts" in page(admin, RUNS)


def test_the_whole_filter(admin: Client) -> None:
    towns = [make_town(region="ams") for _ in range(60)]
    make_town(region="iad")
    run = planned(admin, towns[:1], "?region=ams", select_across="1")
    assert run.items.count() == 60
    assert run.selection == "All that match region=ams"


def test_nothing_selected_does_nothing(admin: Client) -> None:
    make_town()
    for form in ({"action": "bulk_stop"}, {"action": "bulk_stop", "select_across": "1"}):
        assert admin.post(f"{TOWNS}?region=nowhere", form).status_code in (200, 302)
    assert not BulkRun.objects.exists()


@pytest.mark.parametrize("query", ["?life=nonsense", "?e=1", "?last_result__exact=", "?region= "])
def test_diskerase_a_senseless_filter_is_not_all(admin: Client, query: str) -> None:
    town = make_town()
    form = {"action": "bulk_stop", "_selected_action": [town.pk], "select_across": "1"}
    answer = admin.post(f"{TOWNS}{query}", form)
    assert answer.status_code in (200, 302)
    assert not BulkRun.objects.exists()


def test_a_large_selection_is_looked_at_by_a_worker(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    monkeypatch.setattr("towns.admin.town.call_worker", lambda: called.append("called"))
    monkeypatch.setattr("towns.bulk_work.plan.CHUNK", 2)
    run = planned(admin, [make_town() for _ in range(3)])
    assert called
    text = page(admin, f"{RUNS}{run.pk}/change/")
    assert "2 of 3 towns looked at. Nothing is done yet." in text
    assert 'data-refresh="3"' in text
    advance(run.pk, NOW)
    assert "3 towns: stop" in page(admin, f"{RUNS}{run.pk}/change/")


def test_it_says_how_fast_it_goes(admin: Client) -> None:
    run = planned(admin, [make_town() for _ in range(4)])
    admin.post(f"{RUNS}{run.pk}/begin", FORM)
    advance(run.pk, NOW)
    end("succeeded", count=2)
    advance(run.pk, NOW)
    BulkRun.objects.update(started_at=timezone.now() - timedelta(minutes=1))
    assert "2.0 towns a minute; done in about" in page(admin, f"{RUNS}{run.pk}/change/")


def test_what_can_not_be_done_says_so(admin: Client) -> None:
    run = planned(admin, [make_town(status=Status.STOPPED, stop_reason="person")])
    text = page(admin, f"{RUNS}{run.pk}/change/")
    assert "1 skipped" in text
    assert "Nothing can be done to any of them now." in text


def test_a_senseless_pace_is_refused(admin: Client) -> None:
    run = planned(admin, [make_town()])
    answer = admin.post(f"{RUNS}{run.pk}/begin", {**FORM, "at_once": 0, "reason": ""})
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "greater than or equal to 1" in text
    assert "This field is required." in text
    run.refresh_from_db()
    assert run.state == "previewed"


def test_decisions(admin: Client) -> None:
    run = planned(admin, [make_town()])
    path = f"{RUNS}{run.pk}/"
    for decision, state in (("begin", "running"), ("pause", "paused"), ("go-on", "running")):
        admin.post(f"{path}{decision}", FORM)
        run.refresh_from_db()
        assert run.state == state
    admin.post(f"{path}cancel")
    run.refresh_from_db()
    assert run.state == "cancelled"
    told = admin.post(f"{path}begin", FORM, follow=True).content.decode()
    assert "somebody was faster" in told
    unknown = admin.post(f"{path}explode")
    assert unknown.status_code == 404
    assert "There is no decision “explode”." in unknown.content.decode()
    assert admin.get(f"{path}cancel").status_code == 405


def test_the_result_is_one_statement(
    admin: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    run = planned(admin, [make_town() for _ in range(3)])
    with django_assert_num_queries(1) as asked:
        assert len(list(_lines(run))) == 4
    assert '"towns_town"."health"' not in asked.captured_queries[0]["sql"]


def test_what_was_begun_is_followed_to_its_end(admin: Client) -> None:
    run = planned(admin, [make_town() for _ in range(2)])
    path = f"{RUNS}{run.pk}/"
    admin.post(f"{path}begin", {**FORM, "at_once": 1})
    advance(run.pk, NOW)
    for decision in ("pause", "cancel"):
        admin.post(f"{path}{decision}")
        assert 'data-refresh="3"' in page(admin, f"{path}change/"), decision
    end("succeeded")
    advance(run.pk, NOW)
    assert 'data-refresh="3"' not in page(admin, f"{path}change/")


def test_a_preview_can_be_cancelled(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towns.admin.town.call_worker", lambda: None)
    monkeypatch.setattr("towns.bulk_work.plan.CHUNK", 1)
    run = planned(admin, [make_town() for _ in range(2)])
    cancel = f'action="{RUNS}{run.pk}/cancel"'
    assert cancel in page(admin, f"{RUNS}{run.pk}/change/")
    advance(run.pk, NOW)
    assert cancel in page(admin, f"{RUNS}{run.pk}/change/")
    admin.post(f"{RUNS}{run.pk}/cancel")
    text = page(admin, f"{RUNS}{run.pk}/change/")
    assert "cancelled it." in text
    assert cancel not in text


def test_who_goes_on_is_told_how_far(admin: Client) -> None:
    run = planned(admin, [make_town()])
    BulkRun.objects.update(state="paused")
    assert "after 3 more failures it pauses again" in page(admin, f"{RUNS}{run.pk}/change/")


def test_it_takes_the_permission_of_the_action(staff: Callable[..., Client]) -> None:
    town = make_town()
    viewer = staff("view_town", "view_bulkrun")
    viewer.post(TOWNS, {"action": "bulk_stop", "_selected_action": [town.pk]})
    assert not BulkRun.objects.exists()
    run = planned(staff("view_town", "stop_town", "view_bulkrun"), [town])
    assert "Your account lacks the permission" in page(viewer, f"{RUNS}{run.pk}/change/")
    assert viewer.post(f"{RUNS}{run.pk}/begin", FORM).status_code == 403
