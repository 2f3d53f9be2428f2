"""Enrolling and signing in with a second factor, in a browser."""

import base64
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, PHONE, Open, axe_violations, is_cut_off
from tests.factories import make_user
from tests.second_factor.app import code_of, wait_it_out, wrong_code

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def two_factors() -> Iterator[None]:
    with override_settings(GASTOWN_STAFF_TWO_FACTOR=True):
        yield


@pytest.fixture
def staff(transactional_db: None) -> User:
    return make_user("ann", is_staff=True, is_superuser=True)


def give_password(page: Page) -> None:
    page.get_by_label("Username").or_(page.get_by_label("Name")).fill("ann")
    page.get_by_label("Password").fill("pw")
    page.keyboard.press("Enter")


def give_code(page: Page, code: str) -> None:
    """By keyboard."""
    page.get_by_role("textbox", name="Code").focus()
    page.keyboard.type(code)
    page.keyboard.press("Enter")


@pytest.mark.parametrize(
    ("width", "dark"), [(PHONE, False), (PHONE, True), (DESK, False), (DESK, True)]
)
def test_it_can_be_used_by_everybody(page_of: Open, staff: User, width: int, dark: bool) -> None:
    page = page_of(None, "/admin/", width=width, dark=dark)
    refused: list[str] = []
    page.on("console", lambda one: refused.append(one.text) if one.type == "error" else None)
    give_password(page)
    expect(page).to_have_title("Set up your second factor · Gastown")
    assert axe_violations(page) == []
    assert not is_cut_off(page)
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    key = base64.b32decode(page.locator(".key").inner_text().replace(" ", "")).hex()
    give_code(page, wrong_code(key))
    expect(page.get_by_role("alert")).to_contain_text("That code is wrong")
    assert axe_violations(page) == []
    give_code(page, code_of(key))
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    assert axe_violations(page) == []
    assert not is_cut_off(page)
    page.goto("/accounts/second-factor/")
    expect(page.get_by_text("10 of 10")).to_be_visible()
    assert axe_violations(page) == []
    assert not is_cut_off(page)
    assert refused == []


def test_signing_in(page_of: Open, staff: User) -> None:
    page = page_of(None, "/admin/towns/town/")
    give_password(page)
    key = base64.b32decode(page.locator(".key").inner_text().replace(" ", "")).hex()
    give_code(page, code_of(key))
    recovery_code = page.locator("li code").nth(4).inner_text()
    page.get_by_role("link", name="go on").click()
    expect(page).to_have_url(page.url.split("/admin/")[0] + "/admin/towns/town/")
    page.context.clear_cookies()
    page.goto("/accounts/login/?next=/dashboard/")
    give_password(page)
    expect(page.get_by_role("textbox", name="Code")).to_be_focused()
    assert axe_violations(page) == []
    give_code(page, wrong_code(key))
    expect(page.get_by_role("alert")).to_contain_text("That code is wrong")
    wait_it_out(staff)
    give_code(page, recovery_code)
    expect(page.get_by_role("status")).to_contain_text("9 of 10 are left")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your towns")
