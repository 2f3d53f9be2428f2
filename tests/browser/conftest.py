"""The system's Chromium, pages of any width and in light and dark, and axe."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, Request, sync_playwright

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PHONE, DESK = 390, 1280
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the tests of a module: Playwright's event loop runs in this thread as long as it is
    there, beside which no other can."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "Chromium is not here: install Debian's package chromium"
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # tests use the database as ever
        yield playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))


@pytest.fixture
def page_of(browser: Browser, live_server: Any) -> Iterator[Open]:
    """Opens pages as somebody; fails at the end if something went wrong in one: a script failed,
    the console told an error (what the policy refuses is one), or a request was not answered well.
    `expects` is a text that an error may hold."""
    contexts, errors = [], list[str]()

    def open_page(
        user: User | None,
        path: str,
        *,
        width: int = DESK,
        dark: bool = False,
        script: bool = True,
        expects: str = "",
    ) -> Page:
        def complain(told: str) -> None:
            if not (expects and expects in told):
                errors.append(f"{path}: {told}")

        def failed(request: Request) -> None:
            if request.failure != "net::ERR_ABORTED":  # who leaves a page hangs up
                complain(f"{request.url} {request.failure}")

        context = browser.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
        )
        contexts.append(context)
        if user is not None:
            client = Client()
            client.force_login(user)
            name = settings.SESSION_COOKIE_NAME
            value = client.cookies[name].value
            context.add_cookies([{"name": name, "value": value, "url": live_server.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("console", lambda line: complain(line.text) if line.type == "error" else None)
        page.on("requestfailed", failed)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def axe_violations(page: Page) -> list[str]:
    """What axe finds wrong on a page: the rules of WCAG 2.2 AA and good practice."""
    rules = {"target-size": {"enabled": True}}  # of WCAG 2.2 AA, and off by itself
    found = Axe().run(page, options={"rules": rules}).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


def is_cut_off(page: Page) -> bool:
    """Whether the page is wider than the screen."""
    wide: bool = page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1")
    return wide
