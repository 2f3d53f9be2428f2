"""The console can be used by everybody: axe on its pages, wide and on a phone, light and dark; and
by keyboard what the theme made for the mouse alone."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from tests.browser.conftest import DESK, PHONE, Open, axe_violations, is_cut_off
from tests.browser.fleet import make_fleet
from tests.factories import make_town

pytestmark = pytest.mark.django_db(transaction=True)
PAGES = (
    *("overview", "towns", "town", "town-failing", "town-new", "destroy", "operations", "alerts"),
    *("replay-new", "replay", "freezes", "freeze", "webhook-new", "token-new", "backup-held"),
    *("orphan-confirm", "bulk-run", "window-new", "users"),
)


@pytest.mark.parametrize(
    ("width", "dark"), [(PHONE, False), (PHONE, True), (DESK, False), (DESK, True)]
)
def test_its_pages_are_for_everybody(page_of: Open, width: int, dark: bool) -> None:
    paths = make_fleet("pw")
    ann = User.objects.get(username="ann")
    page = page_of(ann, "/admin/", width=width, dark=dark)
    wrong = {}
    for name in PAGES:
        page.goto(paths[name][1])
        found = axe_violations(page)
        if is_cut_off(page):
            found.append("it is wider than the screen")
        if found:
            wrong[name] = found
    assert wrong == {}


@pytest.mark.parametrize(
    ("width", "dark"), [(PHONE, False), (PHONE, True), (DESK, False), (DESK, True)]
)
def test_its_door_is_for_everybody(
    page_of: Open, transactional_db: None, width: int, dark: bool
) -> None:
    page = page_of(None, "/admin/", width=width, dark=dark)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert axe_violations(page) == []
    assert not is_cut_off(page)
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Please enter the correct")).to_be_visible()
    assert axe_violations(page) == []


@pytest.mark.parametrize(
    ("width", "dark"), [(PHONE, False), (PHONE, True), (DESK, False), (DESK, True)]
)
def test_the_description_of_the_api_is_for_everybody(
    page_of: Open, transactional_db: None, width: int, dark: bool
) -> None:
    page = page_of(None, "/api/v1/docs", width=width, dark=dark)
    expect(page.get_by_role("button", name="POST /api/v1/towns", exact=False).first).to_be_visible()
    assert axe_violations(page) == []
    assert not is_cut_off(page)


def test_the_menu_can_be_skipped(page_of: Open, transactional_db: None) -> None:
    page = page_of(User.objects.create_superuser("root"), "/admin/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


def test_what_takes_a_click_takes_the_keyboard(page_of: Open, transactional_db: None) -> None:
    make_town()
    page = page_of(User.objects.create_superuser("root"), "/admin/towns/town/")
    page.get_by_role("button", name="Filters").press("Enter")
    expect(page.get_by_role("heading", name="By status")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Your account").press(" ")
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


def test_the_menu_opens_on_a_phone(page_of: Open, transactional_db: None) -> None:
    page = page_of(User.objects.create_superuser("root"), "/admin/", width=PHONE)
    expect(page.get_by_role("link", name="Operations")).to_be_hidden()
    page.locator("main").get_by_role("button", name="Hide or show the menu").press("Enter")
    expect(page.get_by_role("link", name="Operations")).to_be_visible()


def test_selecting_shows_the_actions(page_of: Open, transactional_db: None) -> None:
    make_town()
    page = page_of(User.objects.create_superuser("root"), "/admin/towns/town/")
    page.locator("input.action-select").first.check()
    bar = page.locator("#changelist-actions")
    expect(bar).to_be_visible()
    width = page.locator("#changelist-form").bounding_box()
    shown = bar.bounding_box()
    assert width is not None
    assert shown is not None
    assert abs(shown["width"] - width["width"]) < 40, "the bar is as wide as the list"
