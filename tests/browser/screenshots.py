"""`python -m tests.browser.screenshots [FOLDER]`: the pictures of the pages in docs/; of all pages,
in full length, in a folder that is named.

A fleet is made up in a database of its own, served by uvicorn, and looked at in Chromium: wide and
on a phone, light and dark.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
IN_DOCS = ("overview", "towns", "town", "dashboard")
PASSWORD = "for-pictures-only"
SIZES = {"wide": (1280, 900), "phone": (390, 844)}


def main(arguments: list[str]) -> int:
    """The exit code."""
    given = Path(arguments[0]) if arguments else None
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            DATABASE_URL=f"sqlite:///{Path(folder) / 'pictures.sqlite3'}",
            DJANGO_SETTINGS_MODULE="gastown_ops.settings",
            GASTOWN_ENV_FILE="",
            DEBUG="true",
            LOG_LEVEL="ERROR",
        )
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0, skip_checks=True)
        from tests.browser.fleet import make_fleet

        paths = make_fleet(PASSWORD)
        with _served() as address:
            if given is None:
                _take(address, {name: paths[name] for name in IN_DOCS}, DOCS)
            else:
                given.mkdir(parents=True, exist_ok=True)
                _take(address, paths, given, whole=True)
    return 0


@contextmanager
def _served() -> Iterator[str]:
    from towns.demo.places import free_port

    port = free_port(0)
    command = [sys.executable, "-m", "uvicorn", "gastown_ops.asgi:application", "--lifespan", "off"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--log-level", "error"], cwd=ROOT, env=dict(os.environ)
    )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 30
        while not _answers(address):
            if time.monotonic() > until or server.poll() is not None:
                raise RuntimeError("the web server did not start")
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _take(
    address: str, paths: Mapping[str, tuple[str, str]], folder: Path, *, whole: bool = False
) -> None:
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import FLAGS

    chromium = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                for name, (user, path) in paths.items():
                    page = browser.new_page(
                        viewport={"width": width, "height": height},
                        color_scheme="dark" if scheme == "dark" else "light",
                    )
                    page.goto(f"{address}/accounts/login/?next={path}")
                    page.fill("[name=username]", user)
                    page.fill("[name=password]", PASSWORD)
                    page.press("[name=password]", "Enter")
                    page.wait_for_url(f"{address}{path}")
                    page.wait_for_timeout(400)
                    picture = folder / f"{name}-{size}-{scheme}.png"
                    page.screenshot(path=picture, full_page=whole)
                    page.close()
        browser.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
