"""The page of replays."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from tests.admin.conftest import page, queries
from tests.factories import make_town
from tests.replay.days import Days
from towns import tasks
from towns.history import Actor
from towns.models import ReplayRun
from towns.replay import runs

pytestmark = pytest.mark.django_db
LIST, ADD = "/admin/towns/replayrun/", "/admin/towns/replayrun/add/"
FORM = {"setting": "GASTOWN_IDLE_TIMEOUT_MINUTES", "value": "15", "days": "7"}


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Whom workers were called for."""
    called: list[Any] = []
    monkeypatch.setattr(runs, "call_worker", called.append)
    return called


def make_run(**fields: Any) -> ReplayRun:
    """One that waits for a worker."""
    now = timezone.now()
    run = runs.begin_run(["IDLE_TIMEOUT_MINUTES=15"], days=7, actor=Actor("ann"), now=now)
    ReplayRun.objects.filter(pk=run.pk).update(**fields)
    return run


def test_it_works(
    admin: Client,
    no_broker: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    days = Days()
    days.visit()
    days.minutes(45)
    monkeypatch.setattr(timezone, "now", lambda: days.now)
    assert "Nothing was replayed yet." in page(admin, LIST)
    assert "GASTOWN_IDLE_TIMEOUT_MINUTES, now 30: the idle timeout of towns" in page(admin, ADD)
    with django_capture_on_commit_callbacks(execute=True):
        answer = admin.post(ADD, FORM)
    run = ReplayRun.objects.get()
    assert (answer.headers["Location"], no_broker) == (f"{LIST}{run.pk}/change/", [run.pk])
    waiting = page(admin, f"{LIST}{run.pk}/change/")
    assert "Waiting for a worker" in waiting
    assert 'data-refresh="yes"' in waiting
    tasks.go_on_with_replay(str(run.pk))
    assert str(run) == "idle timeout minutes 15, 7 days"
    text = page(admin, f"{LIST}{run.pk}/change/")
    assert "0.2 machine hours would have been saved, with as many wrong stops." in text
    assert f">{days.towns[0]}</a>" in text
    assert "stopped 02\N{NON-BREAKING HYPHEN}17" in text
    assert "data-refresh" not in text, "the script looks no more"
    assert "What a replay can&#x27;t know" in text or "What a replay can't know" in text
    assert "0.2 machine hours would have been saved" in page(admin, LIST)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"value": "1"}, "write a whole number from 5 to 480."),
        ({"value": ""}, "This field is required."),
        ({"setting": "SECRET_KEY"}, "Select a valid choice."),
        ({"more": "SPEED=1"}, "SPEED can&#x27;t be replayed. What can: GASTOWN_IDLE"),
        ({"more": "IDLE_TIMEOUT_MINUTES=20"}, "is changed twice"),
        ({"days": "15"}, "A replay goes back 1 to 14 days, not 15"),
        ({"towns": "nobody"}, "There is no town nobody."),
        ({"towns": "mill", "region": "ams"}, "Name towns, or narrow the fleet"),
        ({"towns": "\n".join(["mill"] * 1001)}, "1,001 towns are too many"),
        ({"sample": "0"}, "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_told_beside_its_field(
    admin: Client, changed: dict[str, str], why: str
) -> None:
    make_town(name="mill")
    answer = admin.post(ADD, {**FORM, **changed})
    assert answer.status_code == 200
    assert why in answer.content.decode()
    assert not ReplayRun.objects.exists()


def test_named_towns_and_further_changes_are_kept(admin: Client) -> None:
    town = make_town(name="mill")
    admin.post(ADD, {**FORM, "more": "RESTART_LIMIT=5\n", "towns": f"{town}\n{town.pk}"})
    run = ReplayRun.objects.get()
    assert run.towns == [str(town.pk)]
    assert run.changes == ["GASTOWN_IDLE_TIMEOUT_MINUTES=15", "GASTOWN_RESTART_LIMIT=5"]
    text = page(admin, f"{LIST}{run.pk}/change/")
    assert "1 named town, 7 days before" in text
    assert 'name="more" value="GASTOWN_RESTART_LIMIT=5"' in text, "to replay it again"


def test_a_run_that_no_worker_takes_says_what_to_look_at(admin: Client) -> None:
    run = make_run(went_on_at=timezone.now() - timedelta(minutes=10))
    assert "See whether workers run" in page(admin, f"{LIST}{run.pk}/change/")


def test_a_failed_one_says_why(admin: Client) -> None:
    run = make_run(state="failed", result="A replay goes back 1 to 3 days, not 7.")
    assert "A replay goes back 1 to 3 days, not 7." in page(admin, f"{LIST}{run.pk}/change/")
    assert "A replay goes back 1 to 3 days, not 7." in page(admin, LIST)


def test_an_empty_fleet_is_told_so(admin: Client) -> None:
    run = make_run()
    tasks.go_on_with_replay(str(run.pk))
    assert "There was no town to replay" in page(admin, f"{LIST}{run.pk}/change/")


def test_it_needs_the_permission_to_see_towns(staff: Callable[..., Client]) -> None:
    run = make_run()
    without, allowed = staff("view_replayrun", "add_replayrun"), staff("view_town")
    for path in (LIST, ADD, f"{LIST}{run.pk}/change/"):
        assert without.get(path).status_code == 403, path
        assert allowed.get(path).status_code == 200, path
    assert without.post(ADD, FORM).status_code == 403
    assert allowed.post(ADD, FORM).status_code == 302
    assert allowed.post(f"{LIST}{run.pk}/change/", {"days": 1}).status_code == 403
    assert allowed.post(f"{LIST}{run.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_list_costs_a_fixed_number_of_queries(admin: Client) -> None:
    make_run(state="succeeded")
    few = queries(admin, LIST)
    for _ in range(20):
        make_run(state="succeeded")
    assert queries(admin, LIST) == few


def test_one_that_is_gone_leads_back(admin: Client) -> None:
    gone = "00000000-0000-0000-0000-000000000000"
    assert admin.get(f"{LIST}{gone}/change/").status_code == 302


def test_one_at_a_time_and_a_few_for_all(staff: Callable[..., Client]) -> None:
    ann, ben = staff("view_town"), staff("view_town")
    assert ann.post(ADD, FORM).status_code == 302
    told = ann.post(ADD, FORM).content.decode()
    assert "Your replay of idle timeout minutes 15, 7 days is still under way." in told
    make_run()
    make_run()
    told = ben.post(ADD, FORM).content.decode()
    assert "3 replays are under way already, asked for by" in told
    assert ReplayRun.objects.count() == 3


def test_one_that_no_worker_goes_on_with_is_in_nobody_s_way(staff: Callable[..., Client]) -> None:
    old = [make_run(went_on_at=timezone.now() - timedelta(hours=1)) for _ in range(3)]
    assert staff("view_town").post(ADD, FORM).status_code == 302
    old[0].refresh_from_db()
    assert (old[0].state, old[0].result[:27]) == ("failed", "No worker went on with it. ")


def test_whoever_asked_for_it_cancels_it(staff: Callable[..., Client]) -> None:
    ann = staff("view_town")
    ann.post(ADD, FORM)
    run = ReplayRun.objects.get()
    here = f"{LIST}{run.pk}/"
    assert "Cancel it" in page(ann, f"{here}change/")
    other = staff("view_town")
    assert "Cancel it" not in page(other, f"{here}change/")
    assert other.post(f"{here}cancel/").status_code == 403
    assert ann.get(f"{here}cancel/").status_code == 405
    told = ann.post(f"{here}cancel/", follow=True).content.decode()
    assert "It is cancelled. What it has found is kept." in told
    assert "Nothing had been replayed by then." in told
    tasks.go_on_with_replay(str(run.pk))
    run.refresh_from_db()
    assert (run.state, run.done) == ("cancelled", 0)
    assert "It had ended already." in ann.post(f"{here}cancel/", follow=True).content.decode()


def test_who_runs_the_fleet_cancels_anybody_s(staff: Callable[..., Client]) -> None:
    run = make_run()
    assert staff("view_town", "change_town").post(f"{LIST}{run.pk}/cancel/").status_code == 302
    run.refresh_from_db()
    assert run.result.startswith("It was cancelled by ")
