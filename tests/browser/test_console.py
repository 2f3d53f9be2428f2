"""The operator's console in a browser."""

import re

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from tests.browser.conftest import DESK, PHONE, Open, is_cut_off
from tests.factories import make_operation, make_town, make_user
from towns.models import Alert, BulkRun, Operation
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def root(transactional_db: None) -> User:
    return User.objects.create_superuser("root")


@pytest.mark.parametrize(("width", "dark"), [(PHONE, True), (DESK, False)])
def test_pages_fit_the_screen_and_run_without_an_error(
    page_of: Open, root: User, width: int, dark: bool
) -> None:
    town = make_town(status=Status.UNHEALTHY, status_reason="3 checks failed: " + "x" * 200)
    make_operation(town, OperationKind.RESTART)
    for path in (
        "/admin/",
        f"/admin/towns/town/{town.pk}/change/",
        f"/admin/towns/town/act/destroy/?towns={town.pk}",
        "/admin/towns/apitoken/add/",
        "/admin/towns/webhookendpoint/add/",
    ):
        page = page_of(root, path, width=width, dark=dark)
        assert not is_cut_off(page), path


def test_the_overview_shows_what_happens_without_reloading(page_of: Open, root: User) -> None:
    make_town()
    page = page_of(root, "/admin/")
    expect(page.get_by_text("Nothing: no town fails")).to_be_visible()
    page.evaluate("document.getElementById('overview').dataset.refresh = 1; window.kept = true")
    now = timezone.now()
    Alert.objects.create(
        cause="x",
        subject="fleet",
        severity="critical",
        message="Fly is down.",
        opened_at=now,
        seen_at=now,
    )
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("Fly is down.")).to_be_visible(timeout=15_000)
    assert page.evaluate("window.kept"), "the page was not loaded anew"


def test_a_page_that_can_not_be_refreshed_says_since_when(page_of: Open, root: User) -> None:
    make_town()
    page = page_of(root, "/admin/", expects="ERR_FAILED")
    page.route("**/admin/", lambda route: route.abort())
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("Not up to date since")).to_be_visible()
    page.unroute("**/admin/")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("Not up to date since")).to_have_count(0)


def test_a_page_on_which_nothing_changes_any_more_asks_no_more(page_of: Open, root: User) -> None:
    """A bulk run that is over is followed by nobody: to go on at once would be a flood."""
    run = BulkRun.objects.create(
        kind="stop", state="running", actor="root", user=root, created_at=timezone.now()
    )
    page = page_of(root, f"/admin/towns/bulkrun/{run.pk}/change/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    BulkRun.objects.update(state="done")
    expect(page.get_by_role("heading", name="Done")).to_be_visible(timeout=15_000)
    seen = len(asked)
    page.wait_for_timeout(1000)
    assert len(asked) <= seen + 1


def test_steps_are_followed_on_a_town_s_page(page_of: Open, root: User) -> None:
    town = make_town()
    make_operation(town, OperationKind.STOP, step="await_snapshot")
    page = page_of(root, f"/admin/towns/town/{town.pk}/change/")
    expect(page.locator(".ops-now")).to_contain_text("await snapshot")
    Operation.objects.update(step="stop_machine")
    expect(page.locator(".ops-now")).to_contain_text("stop machine", timeout=15_000)


def test_what_is_typed_into_a_form_stays(page_of: Open, root: User) -> None:
    town = make_town()
    make_operation(town, OperationKind.STOP, step="await_snapshot")
    page = page_of(root, f"/admin/towns/town/{town.pk}/change/")
    page.get_by_label("Hold reason").fill("looking into it")
    Operation.objects.update(step="stop_machine")
    expect(page.locator(".ops-now")).to_contain_text("stop machine", timeout=15_000)
    expect(page.get_by_label("Hold reason")).to_have_value("looking into it")


def test_a_viewer_can_press_no_button(page_of: Open, transactional_db: None) -> None:
    viewer = make_user("viewer", is_staff=True, permissions=("view_town",))
    page = page_of(viewer, f"/admin/towns/town/{make_town().pk}/change/")
    actions = page.get_by_role("navigation", name="Actions on this town")
    expect(actions.locator("a")).to_have_count(0)
    stop = actions.get_by_role("link", name="Stop", exact=True)
    expect(stop).to_have_attribute("aria-disabled", "true")
    expect(stop).to_have_accessible_description(re.compile("no permission"))
