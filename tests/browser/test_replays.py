"""Replays in a browser: a second one is refused with the way to the first, which can be cancelled
also after its page has looked again."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from tests.browser.conftest import DESK, PHONE, Open, axe_violations, is_cut_off
from towns.models import ReplayRun

pytestmark = pytest.mark.django_db(transaction=True)
ADD = "/admin/towns/replayrun/add/"


@pytest.mark.parametrize(("width", "dark"), [(PHONE, True), (DESK, False)])
def test_a_second_one_leads_to_the_first_and_that_is_cancelled(
    page_of: Open, transactional_db: None, width: int, dark: bool
) -> None:
    root = User.objects.create_superuser("root")
    page = page_of(root, ADD, width=width, dark=dark)
    for _ in range(2):
        page.goto(ADD)
        page.get_by_label("Value in its place").fill("15")
        page.get_by_role("button", name="Replay", exact=True).click()
    refused = page.get_by_role("alert")
    expect(refused).to_contain_text("Your replay of idle timeout minutes 15, 7 days is still")
    assert axe_violations(page) == []
    assert not is_cut_off(page)
    refused.get_by_role("link").click()
    ReplayRun.objects.update(total=12)
    expect(page.get_by_text("0 of about 12 towns.")).to_be_visible(timeout=15_000)
    page.get_by_role("button", name="Cancel it").click()
    expect(page.get_by_text("It was cancelled by root.")).to_be_visible()
    assert ReplayRun.objects.get().state == "cancelled"
