"""What operators and owners do in a browser, on a whole installation: the demo, with its real
processes."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from localcloud.options import ROOT
from tests.browser.conftest import FLAGS
from tests.e2e.installation import until
from tests.e2e.test_demo import Demo, demo

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600 + 10 * int(os.environ.get("GASTOWN_BULK_TOWNS", "3"))),
]
SOON = 150_000
"""Milliseconds: three sweeps of 15 s find a failure, and a machine boots in some seconds."""

TOWNS = int(os.environ.get("GASTOWN_BULK_TOWNS", "3"))
"""As many real ones are stopped in bulk; `make bulk` does 200."""
LONG = SOON + 5_000 * TOWNS
CREATE = """async (name) => {
    const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
    const headers = {"Content-Type": "application/json", "X-CSRFToken": token};
    const body = JSON.stringify({name});
    for (;;) {
        const answer = await fetch("/api/v1/towns", {method: "POST", headers, body});
        if (answer.status !== 429) return answer.status;
        await new Promise((go) => setTimeout(go, 1000 * answer.headers.get("Retry-After")));
    }
}"""
COUNT = """async (status) => {
    let count = 0, cursor = "";
    do {
        const asked = new URLSearchParams({status, limit: 200, ...(cursor ? {cursor} : {})});
        const page = await (await fetch(`/api/v1/towns?${asked}`)).json();
        count += page.items.filter((town) => town.name.startsWith("row-")).length;
        cursor = page.next_cursor;
    } while (cursor);
    return count;
}"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo whose five towns run."""
    with demo(tmp_path_factory.mktemp("journeys") / "demo", "journeys") as found:
        until(lambda: found.text.count("→ running") >= 5, "five towns run", seconds=120)
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "Chromium is not here: install Debian's package chromium"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))


def page_of(browser: Browser, running: Demo, user: str, path: str) -> Page:
    """A page, after signing in."""
    password = re.search(r"with the password (\S+)", running.text)
    assert password
    page = browser.new_page(base_url=running.address())
    page.goto(f"/accounts/login/?next={path}")
    page.fill("[name=username]", user)
    page.fill("[name=password]", password.group(1))
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"**{path}")
    return page


def ctl(running: Demo, *words: str) -> None:
    """Break or mend something."""
    port = re.search(r"ctl --port (\d+)", running.text)
    assert port
    command = [sys.executable, "-m", "localcloud", "ctl", "--port", port.group(1), *words]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def in_status(owner: Page, status: str) -> int:
    """How many of those that are to be stopped in bulk are in a status, as their owner sees it."""
    return int(owner.evaluate(COUNT, status))


def test_an_operator_watches_a_town_heal(running: Demo, browser: Browser) -> None:
    page = page_of(browser, running, "admin", "/admin/towns/town/")
    page.get_by_role("link", name="alice/harbour").first.click()
    expect(page.locator("#town-now")).to_contain_text("running since")
    page.evaluate("window.kept = true")
    ctl(running, "hang", "harbour")
    failing = re.compile("(unhealthy|restarting) since")
    expect(page.locator("#town-now")).to_contain_text(failing, timeout=SOON)
    ctl(running, "mend", "harbour")
    expect(page.locator("#town-now")).to_contain_text("running since", timeout=SOON)
    expect(page.locator("#town-past")).to_contain_text("Restart done", timeout=SOON)
    assert page.evaluate("window.kept"), "it was watched without reloading"


def test_an_owner_destroys_a_town_and_restores_it(running: Demo, browser: Browser) -> None:
    page = page_of(browser, running, "alice", "/dashboard/")
    page.get_by_role("link", name="quarry").click()
    page.get_by_label("Type its name to destroy it").fill("quarry")
    page.get_by_role("button", name="Destroy quarry").click()
    expect(page.get_by_role("status")).to_contain_text("You can restore it for 30 days")
    card = page.locator(".card", has_text="quarry")
    expect(card).to_contain_text("Destroyed", timeout=SOON)
    expect(card).to_contain_text("kept for 29 days more")
    card.get_by_role("button", name="Restore").click()
    expect(page.locator(".card", has_text="quarry")).to_contain_text("Running", timeout=SOON)


def test_a_visit_wakes_a_town_that_fell_asleep(running: Demo, browser: Browser) -> None:
    page = page_of(browser, running, "alice", "/dashboard/")
    page.get_by_role("link", name="orchard").click()
    page.get_by_label("Sleeps after so many idle minutes").fill("1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    page.goto("/dashboard/")
    expect(page.locator(".card", has_text="orchard")).to_contain_text("Asleep", timeout=SOON)
    page.get_by_role("link", name="orchard").click()
    expect(page.locator("#now")).to_contain_text("Waking up")
    expect(page.locator("[aria-current=step]")).to_have_count(1)
    expect(page.locator("#now")).to_contain_text("Running", timeout=SOON)


def test_towns_are_stopped_in_bulk_after_a_preview(running: Demo, browser: Browser) -> None:
    owner = page_of(browser, running, "alice", "/dashboard/")
    for number in range(TOWNS):
        assert owner.evaluate(CREATE, f"row-{number:03}") == 201
    until(lambda: in_status(owner, "running") == TOWNS, "they run", seconds=LONG / 1000)
    page = page_of(browser, running, "admin", "/admin/towns/town/?q=row-")
    page.locator("#action-toggle").check(force=True)
    if page.locator("input.action-select").count() < TOWNS:
        page.get_by_text(re.compile(r"Select all \d+")).first.click()
    page.select_option("select[name=action]", "bulk_stop")
    page.locator("button[name=index]").click()
    expect(page.get_by_role("heading", name=f"{TOWNS} towns: stop")).to_be_visible()
    page.get_by_label("Reason").fill("moving hosts")
    page.get_by_label("At once").fill("20")
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("#bulk")).to_contain_text(f"{TOWNS} of {TOWNS} towns", timeout=LONG)
    expect(page.get_by_role("heading", name="Done")).to_be_visible(timeout=SOON)
    assert in_status(owner, "stopped") == TOWNS
