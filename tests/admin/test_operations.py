"""Operations in the admin."""

import pytest
from django.test import Client

from tests.admin.conftest import page
from tests.factories import NOW, make_operation, make_town, make_user
from towns.flows.registry import flow_of
from towns.words import OperationKind

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/operation/"


def test_it_works(admin: Client) -> None:
    town = make_town()
    make_operation(town, OperationKind.STOP, step="await_stopped", attempt=2, automatic=True)
    text = page(admin, LIST)
    for shown in (str(town), "under way", "await stopped, failed 2x", "tester (automatic)"):
        assert shown in text, shown


def test_it_shows_its_steps(admin: Client) -> None:
    """Those that are done, the one that it is at, and those to come."""
    operation = make_operation(
        make_town(),
        OperationKind.STOP,
        step="await_snapshot",
        attempt=1,
        message="Fly: 503",
        log=[{"step": "note_pointer", "at": NOW.isoformat(), "note": "20260217T115500Z"}],
    )
    text = page(admin, f"{LIST}{operation.pk}/change/")
    steps = text.partition('class="ops-steps"')[2].partition("</table>")[0]
    done, now, *to_come = steps.split("<tr")[1:]
    assert "ops-done" in done
    for shown in ("note pointer", "2026-02-17 12:00:00 UTC", "20260217T115500Z"):
        assert shown in done, shown
    assert "ops-now" in now
    for shown in ("await snapshot", "failed 1x", "Fly: 503"):
        assert shown in now, shown
    assert to_come
    assert all("ops-next" in step for step in to_come)
    assert "stop machine" in "".join(to_come)


@pytest.mark.parametrize("kind", OperationKind, ids=str)
def test_every_kind_has_its_page(admin: Client, kind: OperationKind) -> None:
    step = flow_of(kind).steps[0].__name__
    operation = make_operation(make_town(), kind, step=step)
    assert step.replace("_", " ") in page(admin, f"{LIST}{operation.pk}/change/")


def test_one_that_has_ended_has_no_steps_to_come(admin: Client) -> None:
    operation = make_operation(
        make_town(), OperationKind.STOP, state="failed", message="Fly has no machine of this town."
    )
    text = page(admin, f"{LIST}{operation.pk}/change/")
    assert "ops-next" not in text
    assert "ops-now" not in text
    assert "Fly has no machine of this town." in text


def test_it_leads_to_the_one_that_followed(admin: Client) -> None:
    town = make_town()
    start = make_operation(town, OperationKind.START)
    stop = make_operation(town, OperationKind.STOP, state="succeeded", successor=start)
    assert f"{LIST}{start.pk}/change/" in page(admin, f"{LIST}{stop.pk}/change/")


def test_it_is_found_by_town_actor_and_id(admin: Client) -> None:
    wanted = make_operation(
        make_town(name="mill", owner=make_user("carol")), OperationKind.STOP, actor="ann"
    )
    make_operation(make_town(name="quay"), OperationKind.STOP)
    for term in ("mill", "carol", "ann", str(wanted.pk)):
        text = page(admin, f"{LIST}?q={term}")
        assert "carol/mill" in text, term
        assert "/quay" not in text, term


@pytest.mark.parametrize("query", ["kind__exact=stop", "state__exact=open", "automatic__exact=0"])
def test_filters(admin: Client, query: str) -> None:
    make_operation(make_town(name="wanted"), OperationKind.STOP)
    make_operation(make_town(name="other"), OperationKind.BACKUP, state="succeeded", automatic=True)
    text = page(admin, f"{LIST}?{query}")
    assert "/wanted" in text
    assert "/other" not in text
