"""`make demo`: five towns come up, Ctrl-C ends everything, a second start picks them up."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from localcloud.options import ROOT
from tests.e2e.installation import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def processes_of(folder: Path) -> list[int]:
    """The processes that were started for this demo, by what is in their environment."""
    mark, found = str(folder).encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environ = (entry / "environ").read_bytes()
            except OSError:
                continue
            if mark in environ:
                found.append(int(entry.name))
    return found


class Demo:
    """One run of it; `text` is what it has printed."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def text(self) -> str:
        return self._log.read_text()

    def address(self) -> str:
        """Of its web server."""
        found = re.search(r"Admin\s+(http://127\.0\.0\.1:\d+)/admin", self.text)
        assert found, self.text
        return found.group(1)


@contextmanager
def demo(folder: Path, name: str) -> Iterator[Demo]:
    """Run the demo in `folder`; at the end of the block Ctrl-C is pressed."""
    log = folder.parent / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--dir", str(folder), "--port", "0"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        yield Demo(process, log)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def test_it_works(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with demo(folder, "first") as first:
        until(lambda: "Gastown Ops runs. 5 new towns" in first.text, "it says so", seconds=60)
        until(lambda: first.text.count("→ running") == 5, "five towns run", seconds=90)
        assert requests.get(f"{first.address()}/healthz", timeout=5).status_code == 200
        password = re.search(r"with the password (\S+)", first.text)
        assert password
        session = requests.Session()
        login = f"{first.address()}/admin/login/?next=/admin/towns/town/"
        token = session.get(login, timeout=5).cookies["csrftoken"]
        form = {"username": "admin", "password": password.group(1), "csrfmiddlewaretoken": token}
        page = session.post(login, data=form, headers={"referer": login}, timeout=5)
        assert page.text.count("alice/") >= 5
        listed = session.get(f"{first.address()}/api/v1/towns", timeout=5).json()["items"]
        assert {town["status"] for town in listed} == {"running"}
    assert first.process.returncode == 0
    assert processes_of(folder) == []
    with demo(folder, "second") as second:
        until(lambda: "The fleet is picked up again" in second.text, "it says so", seconds=60)
        again = requests.Session()
        login = f"{second.address()}/admin/login/?next=/api/v1/towns"
        token = again.get(login, timeout=5).cookies["csrftoken"]
        form["csrfmiddlewaretoken"] = token
        again.post(login, data=form, headers={"referer": login}, timeout=5)

        def towns() -> dict[str, tuple[str, str | None]]:
            items = again.get(f"{second.address()}/api/v1/towns", timeout=5).json()["items"]
            return {town["id"]: (town["machine_id"], town["last_checked_at"]) for town in items}

        before = {town["id"]: town["machine_id"] for town in listed}
        checked = towns()
        assert {pk: machine for pk, (machine, _) in checked.items()} == before
        until(
            lambda: all(towns()[pk][1] != checked[pk][1] for pk in checked),
            "all are swept again",
            seconds=60,
        )
        statuses = again.get(f"{second.address()}/api/v1/towns", timeout=5).json()["items"]
        assert {town["status"] for town in statuses} == {"running"}
    assert processes_of(folder) == []
