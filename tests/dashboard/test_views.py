"""The dashboard's pages."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import make_town, make_user
from towns import alerts
from towns.dashboard.cards import PER_PAGE
from towns.models import Operation, Town
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db
Make = Callable[..., Town]


def page(client: Client, path: str, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def of(town: Town, more: str = "") -> str:
    return f"/dashboard/towns/{town.pk}/{more}"


def post(client: Client, path: str, **data: Any) -> str:
    """The page that follows a form."""
    answer = client.post(path, data, follow=True)
    assert answer.status_code in (200, 422), answer.status_code
    return answer.content.decode()


def kinds() -> list[str]:
    return list(Operation.objects.values_list("kind", flat=True))


def test_it_works(client: Client, awake: Make) -> None:
    town = awake()
    alerts.open_alert(
        cause="disk_warning", town=town, severity="warning", message="x", now=timezone.now()
    )
    text = page(client, "/dashboard/")
    for shown in ("mill", "Running", "unless you use it", "3 min ago", "3.0 GB of 50.0 GB", "Stop"):
        assert shown in text, shown
    assert 'class="alert"' in text


def test_one_without_towns_is_told_how_to_begin(client: Client) -> None:
    assert "You have no town yet" in page(client, "/dashboard/")


def test_the_front_page_leads_on(client: Client) -> None:
    assert client.get("/").headers["Location"] == "/dashboard/"
    client.force_login(make_user(is_staff=True))
    assert client.get("/").headers["Location"] == "/admin/"


def test_a_visit_wakes_a_town_and_shows_the_steps(client: Client, asleep: Make) -> None:
    town = asleep()
    text = page(client, of(town))
    assert kinds() == ["start"]
    assert "Waking up" in text
    assert 'aria-current="step"' in text
    assert 'data-refresh="2"' in text
    town.refresh_from_db()
    assert town.last_interaction_kind == "visit"


def test_lists_and_pages_that_refresh_themselves_are_no_visit(client: Client, asleep: Make) -> None:
    town = asleep()
    before = Town.objects.values().get()
    page(client, "/dashboard/")
    page(client, of(town), **{"X-Refresh": "1"})
    page(client, of(town, "?peek=1"))
    assert Town.objects.values().get() == before
    assert kinds() == []


def test_kilo_3376_one_that_a_person_stopped_is_not_woken(client: Client, asleep: Make) -> None:
    town = asleep(stop_reason="person")
    text = page(client, of(town))
    assert kinds() == []
    assert "It stays stopped until you start it." in text
    assert ">Start<" in text


def test_only_one_s_own(client: Client, awake: Make) -> None:
    other = make_town(name="foreign")
    assert "foreign" not in page(client, "/dashboard/")
    assert client.get(of(other)).status_code == 404
    paths = ("stop", "stay", "destroy", "change/settings", "change/keep-awake")
    assert {client.post(of(other, path)).status_code for path in paths} == {404}
    assert kinds() == []
    nobody = Client()
    for path in ("/dashboard/", of(other)):
        location = nobody.get(path).headers["Location"]
        assert location.startswith("/accounts/login/?next=/dashboard/")
    assert nobody.post(of(other, "stop")).status_code == 302


@pytest.mark.parametrize("kind", ["stop", "restart", "backup"])
def test_buttons_ask_for_operations(client: Client, awake: Make, kind: str) -> None:
    text = post(client, of(awake(), kind), on="list")
    assert kinds() == [kind]
    assert Operation.objects.get().actor == "alice"
    assert "mill: " in text
    assert "Your towns</h1>" in text


def test_what_can_not_be_done_says_why(client: Client, awake: Make) -> None:
    town = awake(status=Status.STOPPED, stop_reason="person", desired_state="stopped")
    assert "Not done:" in post(client, of(town, "restart"))
    assert kinds() == []
    text = page(client, of(town))
    assert "<b>Restart</b>: " in text
    assert client.post(of(town, "recover")).status_code == 404, "that is for staff"


def test_one_click_to_stay(client: Client, awake: Make) -> None:
    town = awake(last_interaction_at=timezone.now() - timedelta(minutes=25))
    assert "Keep it awake" in page(client, "/dashboard/")
    assert "mill stays awake for 30 minutes more." in post(client, of(town, "stay"), on="list")
    town.refresh_from_db()
    assert town.last_interaction_at is not None
    assert timezone.now() - town.last_interaction_at < timedelta(minutes=1)
    assert "Keep it awake" not in page(client, "/dashboard/")


def test_settings(client: Client, awake: Make) -> None:
    town = awake()
    path = of(town, "change/settings")
    assert "Saved." in post(client, path, idle_timeout_minutes=45)
    town.refresh_from_db()
    assert (town.idle_timeout_minutes, town.auto_stop) == (45, False)
    assert "Not done: The idle timeout is 5 to 480 minutes, not 3." in post(
        client, path, idle_timeout_minutes=3
    )
    assert "a number of minutes" in post(client, path, idle_timeout_minutes="soon")


def test_keeping_it_awake(client: Client, awake: Make) -> None:
    town = awake()
    path = of(town, "change/keep-awake")
    assert "It is kept awake until" in post(client, path, minutes=60)
    post(client, path, minutes=0)
    town.refresh_from_db()
    assert town.keep_awake_until is None
    assert "Choose for how long" in post(client, path, minutes=7)


def test_destroying_takes_the_name(client: Client, awake: Make) -> None:
    town = awake()
    text = page(client, of(town))
    assert "Data on its disk: 3.0 GB." in text
    wrong = client.post(of(town, "destroy"), {"confirm": "Mill"})
    assert wrong.status_code == 422
    assert "Type mill; nothing was destroyed." in wrong.content.decode()
    assert kinds() == []
    text = post(client, of(town, "destroy"), confirm="mill")
    assert kinds() == ["destroy"]
    assert "You can restore it for 30 days." in text


def test_a_destroyed_one_can_be_restored_while_its_days_last(client: Client, awake: Make) -> None:
    now = timezone.now()
    gone = {"status": "destroyed", "desired_state": "destroyed"}
    town = awake(**gone, destroyed_at=now - timedelta(days=28, hours=1))
    awake(**gone, name="old", destroyed_at=now - timedelta(days=31))
    text = page(client, "/dashboard/")
    assert "kept for 1 day more" in text
    assert ">old<" not in text
    post(client, of(town, "restore"), on="list")
    assert kinds() == ["restore"]


def test_a_destroyed_one_is_not_changed(client: Client, awake: Make) -> None:
    town = awake(status="destroyed", destroyed_at=timezone.now(), idle_timeout_minutes=30)
    text = post(client, of(town, "change/settings"), idle_timeout_minutes=90)
    assert "is destroyed, so nothing but a hold can be changed. Restore it first" in text
    town.refresh_from_db()
    assert town.idle_timeout_minutes == 30


def test_creating(client: Client, owner: User) -> None:
    assert "mill is being made." in post(client, "/dashboard/towns/new", name="mill")
    assert kinds() == ["provision"]
    assert "already has a town named mill" in post(client, "/dashboard/towns/new", name="mill")
    assert "lower-case letters" in post(client, "/dashboard/towns/new", name="The Mill")
    assert "Give the town a name." in post(client, "/dashboard/towns/new", name="")
    assert Town.objects.get().owner == owner


def test_a_drill_is_no_business_of_theirs(client: Client, awake: Make) -> None:
    town = awake()
    Operation.objects.create(
        town=town,
        kind=OperationKind.DRILL,
        step="x",
        actor="sweep",
        status_before="running",
        created_at=timezone.now(),
        due_at=timezone.now(),
    )
    assert "step 1" not in page(client, "/dashboard/")


def test_many_towns_are_shown_a_page_at_a_time(client: Client, awake: Make) -> None:
    for number in range(PER_PAGE + 3):
        awake(name=f"town-{number}")
    gone = awake(name="gone", status="destroyed", destroyed_at=timezone.now())
    first, second = page(client, "/dashboard/"), page(client, "/dashboard/?page=2")
    assert first.count('class="card"') == PER_PAGE
    assert first.count("town=") == PER_PAGE, "what is shown is listened to"
    assert f"1 to {PER_PAGE} of {PER_PAGE + 4} towns" in first
    assert 'href="?page=2"' in first
    assert second.count('class="card"') == 4
    assert second.rindex("town-") < second.index(f'name-{gone.pk}"'), "the destroyed come last"
    assert "25 to 28 of 28 towns" in page(client, "/dashboard/?page=9")


def test_a_town_is_found_among_many(client: Client, awake: Make) -> None:
    for name in ("mill", "windmill", "quarry"):
        awake(name=name)
    found = page(client, "/dashboard/?q=MILL")
    assert "windmill" in found
    assert "quarry" not in found
    assert "None of your towns has “&lt;b&gt;” in its name." in page(client, "/dashboard/?q=<b>")


def test_who_asks_on_a_page_is_led_back_to_it(client: Client, awake: Make) -> None:
    path = of(awake(), "stop")
    answer = client.post(path, {"on": "list", "page": "2"})
    assert answer.headers["Location"] == "/dashboard/?page=2"
    answer = client.post(path, {"on": "list", "page": "//elsewhere"})
    assert answer.headers["Location"] == "/dashboard/"


def test_a_name_that_was_taken_since_can_not_be_restored(client: Client, awake: Make) -> None:
    gone = awake(name="mill", status="destroyed", destroyed_at=timezone.now())
    assert of(gone, "restore") in page(client, of(gone))
    awake(name="mill")
    assert of(gone, "restore") not in page(client, of(gone))


def test_it_costs_the_same_for_any_number_of_towns(client: Client, awake: Make) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(client, "/dashboard/")
        return len(captured)

    awake()
    few = cost()
    for number in range(12):
        awake(name=f"town-{number}")
    assert cost() == few <= 7


def test_unsafe_methods_alone_change_something(client: Client, awake: Make) -> None:
    town = awake()
    for path in ("stop", "stay", "destroy", "change/settings"):
        assert client.get(of(town, path)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(town.owner)
    assert strict.post(of(town, "stop")).status_code == 403
