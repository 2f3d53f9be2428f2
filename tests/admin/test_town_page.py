"""A town's page: what is known of it, and what may be changed."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.admin.conftest import awake_town, page, queries
from tests.factories import make_operation, make_town
from towns import alerts, history
from towns.addresses import sandbox_address
from towns.history import Actor
from towns.models import Backup, HealthCheck, Operation, Town
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/town/"


def path(town: Town) -> str:
    return f"{LIST}{town.pk}/change/"


def test_it_works(admin: Client) -> None:
    town = awake_town(health={"polecats_active": 0, "disk_used": 1_200_000_000, "disk_total": 5e10})
    history.record(town, "changed", actor=Actor("ann"), now=timezone.now(), reason="for a test")
    operation = make_operation(town, OperationKind.STOP, step="await_snapshot")
    operation.log = [{"step": "note_pointer", "at": timezone.now().isoformat(), "note": "2026"}]
    operation.save()
    text = page(admin, path(town))
    for shown in ("1.2 GB of 50.0 GB", "for a test", "note pointer", "await snapshot", "Under way"):
        assert shown in text, shown


def test_it_shows_what_happened_lately_and_leads_to_the_rest(admin: Client) -> None:
    town, now = awake_town(), timezone.now()
    HealthCheck.objects.create(town=town, checked_at=now, result="failed", reason="no answer")
    Backup.objects.create(town=town, snapshot="20260217T120000Z", created_at=now, bytes=812_000_000)
    alerts.open_alert(cause="stop_failed", town=town, severity="warning", message="Hm.", now=now)
    history.record(town, "changed", actor=Actor("ann"), now=now, reason="for a test")
    make_operation(town, OperationKind.BACKUP, state="succeeded")
    text = page(admin, path(town))
    for shown in ("no answer", "20260217T120000Z", "812 MB", "Hm.", "for a test"):
        assert shown in text, shown
    links = re.findall(r'href="([^"]+town__id__exact=[^"]+)"', text)
    assert len(links) == 5
    for link in links:
        assert str(town) in page(admin, link), link


def test_its_queries_do_not_grow_with_its_history(admin: Client) -> None:
    town, now = awake_town(), timezone.now()

    def live() -> None:
        for _ in range(15):
            HealthCheck.objects.create(town=town, checked_at=now, result="ok")
            history.record(town, "changed", actor=Actor("ann"), now=now)
            log = [{"step": "request_sync", "at": now.isoformat(), "note": ""}]
            make_operation(town, OperationKind.BACKUP, state="succeeded", log=log)
            number = Backup.objects.count()
            Backup.objects.create(town=town, snapshot=f"{number}", created_at=now, verified_at=now)
            alerts.open_alert(
                cause=f"cause_{number}", town=town, severity="warning", message="Hm.", now=now
            )

    live()
    page(admin, path(town))  # what a process reads once is read
    few = queries(admin, path(town))
    live()
    assert queries(admin, path(town)) == few


def test_buttons_that_can_not_be_pressed_say_why(admin: Client) -> None:
    text = page(admin, path(make_town(status=Status.STOPPED)))
    assert re.search(r'aria-describedby="why-not-stop">Stop<', text)
    told = r'<b>Stop</b>: <span id="why-not-stop">[^<]+ is stopped already\.</span></li>'
    assert re.search(told, text)
    assert re.search(r'href="[^"]+/act/start/[^"]+">Start<', text)
    assert "Another living town" not in text, "it is no namesake of its own"


def test_it_begins_with_the_plan(admin: Client) -> None:
    town = awake_town()
    text = page(admin, path(town))
    assert re.search(r"<li>Stops in \d+ min if nobody comes and nothing works in it\.</li>", text)
    make_operation(town, OperationKind.STOP, step="await_snapshot", attempt=1, message="no answer")
    told = "Stop, step 3 of 6: await snapshot. This step failed 1x, last: no answer."
    assert page(admin, path(town)).count(told) == 2, "above all, and in the timeline"
    assert page(admin, f"{path(town)}?before=2020-01-01T00:00:00Z").count(told) == 1


def test_its_facts_are_there_and_its_key_is_not(admin: Client) -> None:
    town = awake_town()
    text = page(admin, path(town))
    address = sandbox_address(town)
    for fact in (
        str(town.pk),
        town.fly_app,
        town.machine_id,
        town.volume_id,
        town.image,
        address.url,
    ):
        assert f'<code class="ops-copy">{fact}</code>' in text, fact
    assert address.key not in text


def test_what_one_has_no_permission_for_is_shown_and_says_so(staff: Callable[..., Client]) -> None:
    text = page(staff("view_town", "stop_town"), path(awake_town()))
    assert re.search(r'href="[^"]+/act/stop/[^"]+">Stop<', text)
    assert re.search(r'aria-disabled="true" tabindex="0" aria-describedby="why-not-drill"', text)
    assert "act/drill" not in text
    [told] = re.findall(r"<li>(.*?Your account has no permission for it.*?)</li>", text)
    labels = re.findall("<b>(.*?)</b>", told)
    assert "Destroy" in labels
    assert "Stop" not in labels


def test_charts_of_a_week_and_older_pages(admin: Client) -> None:
    town = awake_town()
    history.record(town, "changed", actor=Actor("ann"), now=timezone.now(), reason="for a test")
    assert "The last 7 days" in page(admin, f"{path(town)}?span=week")
    assert "for a test" not in page(admin, f"{path(town)}?before=2020-01-01T00:00:00Z")
    assert "Nothing older is kept." in page(admin, f"{path(town)}?before=2020-01-01T00:00:00Z")
    for senseless in (
        "span=year",
        "before=yesterday",
        "before=2020-01-01",
        "before=2020-13-01T0:0",
    ):
        assert "for a test" in page(admin, f"{path(town)}?{senseless}"), senseless


def test_it_keeps_itself_up_to_date_and_the_faster_while_something_goes_on(admin: Client) -> None:
    town = awake_town()
    live = f'data-live="town={town.pk}"'
    assert f'id="town-now" data-refresh="10" {live}' in page(admin, path(town))
    make_operation(town, OperationKind.STOP, step="await_snapshot")
    assert f'id="town-now" data-refresh="3" {live}' in page(admin, path(town))


def test_looking_is_no_interaction(admin: Client) -> None:
    """coder #12012: the owner's clock stands still while staff look."""
    town = awake_town(status=Status.STOPPED, stop_reason="idle", desired_state="stopped")
    before = town.last_interaction_at
    page(admin, path(town))
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


def test_a_hold_has_its_end(admin: Client) -> None:
    town = awake_town()
    form = {"idle_timeout_minutes": 30, "auto_stop": "on"}
    soon = timezone.now().replace(microsecond=0) + timedelta(hours=1)
    end = {"hold_until_0": f"{soon:%Y-%m-%d}", "hold_until_1": f"{soon:%H:%M:%S}"}
    assert "A hold needs its reason" in admin.post(path(town), {**form, **end}).content.decode()
    assert admin.post(path(town), {**form, **end, "hold_reason": "look"}).status_code == 302
    town.refresh_from_db()
    assert (town.hold_reason, town.hold_until) == ("look", soon)
    assert admin.post(path(town), {**form, **end, "hold_reason": "see"}).status_code == 302
    town.refresh_from_db()
    assert (town.hold_reason, town.hold_until) == ("see", soon), "its end stays"
    assert admin.post(path(town), {**form, **end, "hold_reason": ""}).status_code == 302
    town.refresh_from_db()
    assert (town.hold_reason, town.hold_until) == ("", None)


def test_restarts_are_forgotten(admin: Client) -> None:
    town = awake_town()
    form = {"idle_timeout_minutes": 30, "auto_stop": "on", "clear_restarts": "on"}
    assert admin.post(path(town), form).status_code == 302
    town.refresh_from_db()
    assert town.restarts_cleared_at is not None


def test_a_keep_awake_that_is_over_does_not_block_the_form(admin: Client) -> None:
    town = awake_town(keep_awake_until=timezone.now().replace(microsecond=0) - timedelta(hours=1))
    assert town.keep_awake_until is not None
    form = {
        "idle_timeout_minutes": 45,
        "auto_stop": "on",
        "keep_awake_until_0": f"{town.keep_awake_until:%Y-%m-%d}",
        "keep_awake_until_1": f"{town.keep_awake_until:%H:%M:%S}",
    }
    assert admin.post(path(town), form).status_code == 302
    town.refresh_from_db()
    assert town.idle_timeout_minutes == 45


def test_a_senseless_setting_is_refused(admin: Client) -> None:
    town = awake_town()
    answer = admin.post(f"{LIST}{town.pk}/change/", {"idle_timeout_minutes": 3, "auto_stop": "on"})
    assert "5 to 480 minutes" in answer.content.decode()


def test_what_follows_from_operations_can_not_be_written(admin: Client) -> None:
    town = awake_town()
    form = {"idle_timeout_minutes": 30, "auto_stop": "on", "status": "stopped", "machine_id": "x"}
    admin.post(path(town), form)
    before = (town.status, town.machine_id)
    town.refresh_from_db()
    assert (town.status, town.machine_id) == before


def test_who_may_only_look_changes_nothing(staff: Callable[..., Client]) -> None:
    town, client = awake_town(), staff("view_town")
    assert "Forget its restarts" not in page(client, path(town))
    assert client.post(path(town), {"idle_timeout_minutes": 45}).status_code == 403


def test_nothing_is_deleted_by_hand(admin: Client) -> None:
    town = make_town()
    assert admin.post(f"{LIST}{town.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_town_that_is_not_there(admin: Client) -> None:
    answer = admin.get(f"{LIST}00000000-0000-0000-0000-000000000000/change/")
    assert answer.status_code == 302
    assert not Operation.objects.exists()


def test_of_one_that_is_destroyed_a_hold_alone_is_changed(admin: Client) -> None:
    town = make_town(status=Status.DESTROYED, destroyed_at=timezone.now())
    kept = {"idle_timeout_minutes": town.idle_timeout_minutes, "auto_stop": "on"}
    answer = admin.post(path(town), {**kept, "idle_timeout_minutes": 90}, follow=True)
    told = f"Not changed: {town} is destroyed, so nothing but a hold can be changed."
    assert told in answer.content.decode()
    admin.post(path(town), {**kept, "hold_reason": "looked at"})
    town.refresh_from_db()
    assert (town.hold_reason, town.idle_timeout_minutes) == ("looked at", 30)
