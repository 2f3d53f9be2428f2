"""The owner's dashboard in a browser."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from tests.browser.conftest import DESK, PHONE, Open, axe_violations, is_cut_off
from tests.factories import make_operation, make_town, make_user
from towns.models import Operation, Town
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner(transactional_db: None) -> User:
    return make_user("alice")


def awake(owner: User, **fields: Any) -> Town:
    now = timezone.now()
    values = {
        "name": "mill",
        "last_interaction_at": now - timedelta(minutes=22),
        "awake_since": now - timedelta(hours=2),
        "last_checked_at": now,
        "last_result": "ok",
        "last_backup_at": now,
        "health": {"polecats_active": 0, "disk_used": 3e9, "disk_total": 5e10},
    }
    return make_town(owner=owner, **{**values, **fields})


def make_all(owner: User) -> Town:
    """A town of each kind; the one that is on its way."""
    awake(owner)
    awake(owner, name="dozing", status="stopped", stop_reason="idle")
    awake(owner, name="broken", status="error", status_reason="No capacity on its host.")
    gone = {"status": "destroyed", "destroyed_at": timezone.now()}
    awake(owner, name="gone", **gone)
    coming = awake(owner, name="coming", status=Status.STARTING)
    make_operation(coming, OperationKind.START, step="await_healthy")
    return coming


@pytest.mark.parametrize(
    ("width", "dark"), [(PHONE, False), (PHONE, True), (DESK, False), (DESK, True)]
)
def test_it_can_be_used_by_everybody(page_of: Open, owner: User, width: int, dark: bool) -> None:
    coming = make_all(owner)
    for path in ("/dashboard/", f"/dashboard/towns/{coming.pk}/", "/accounts/login/"):
        page = page_of(owner if path.startswith("/dash") else None, path, width=width, dark=dark)
        assert axe_violations(page) == [], path
        assert not is_cut_off(page), path


def test_by_keyboard_alone(page_of: Open, owner: User) -> None:
    awake(owner)
    page = page_of(owner, "/dashboard/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    seen = []
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent").strip())
    assert seen[0] == "mill"
    assert seen.index("Keep it awake: mill") < seen.index("Stop mill")


def test_one_click_keeps_it_awake(page_of: Open, owner: User) -> None:
    awake(owner)
    page = page_of(owner, "/dashboard/")
    expect(page.get_by_role("alert")).to_have_text(re.compile("It goes to sleep in [78] min."))
    expect(page).to_have_title("⏰ mill goes to sleep soon")
    page.get_by_role("button", name="Keep it awake").click()
    expect(page.get_by_role("status")).to_contain_text("stays awake for 30 minutes more")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_visit_wakes_a_town_and_the_page_follows_until_it_runs(
    page_of: Open, owner: User
) -> None:
    town = awake(owner, status="stopped", stop_reason="idle", desired_state="stopped")
    page = page_of(owner, "/dashboard/")
    page.get_by_role("link", name="mill").click()
    expect(page.locator("#now")).to_contain_text("Waking up")
    expect(page.locator("[aria-current=step]")).to_have_count(1)
    operation = Operation.objects.get()
    step = operation.step
    Operation.objects.update(
        step="await_healthy", log=[{"step": step, "at": timezone.now().isoformat(), "note": ""}]
    )
    expect(page.locator("[aria-current=step]")).to_have_text("Await healthy", timeout=15_000)
    assert Town.objects.get(pk=town.pk).operations.count() == 1, "following is no visit"


def test_destroying_and_its_wrong_name(page_of: Open, owner: User) -> None:
    town = awake(owner)
    page = page_of(owner, f"/dashboard/towns/{town.pk}/", expects="status of 422")
    page.get_by_label("Type its name to destroy it").fill("mil")
    page.get_by_role("button", name="Destroy mill").click()
    expect(page.get_by_text("nothing was destroyed")).to_be_visible()
    page.get_by_label("Type its name to destroy it").fill("mill")
    page.get_by_role("button", name="Destroy mill").click()
    expect(page.get_by_role("status")).to_contain_text("You can restore it for 30 days")
    assert Operation.objects.get().kind == OperationKind.DESTROY


def test_without_javascript_all_works(page_of: Open, owner: User) -> None:
    town = awake(owner)
    page = page_of(owner, "/dashboard/", script=False)
    page.get_by_role("button", name="Stop mill").click()
    assert Operation.objects.get().kind == OperationKind.STOP
    assert "mill: " in page.content()
    page.goto(f"/dashboard/towns/{town.pk}/?peek=1")
    assert "This page looks again every 5 seconds." in page.content()
