"""The agent as a real process, and a control plane that it may call."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from .world import Bucket, poll, write

KEY = "the-key-of-the-town"
Answer = tuple[int, dict[str, object]]


class ControlPlane(HTTPServer):
    """Takes heartbeats."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Heartbeats)
        self.beats: list[tuple[str, str | None, dict[str, object]]] = []


class _Heartbeats(BaseHTTPRequestHandler):
    server: ControlPlane

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        beat = (self.path, self.headers["x-internal-api-key"], json.loads(body))
        self.server.beats.append(beat)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Sandbox:
    """`python -m sandbox` with a volume, a fake gt, and a bucket."""

    def __init__(self, folder: Path, bucket: Bucket, tmux_folder: Path) -> None:
        self.volume = folder / "volume"
        self.volume.mkdir()
        self.gt_log = folder / "gt.log"
        self.output = folder / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "bin").mkdir()
        fake_gt = Path(__file__).with_name("fake_gt.py")
        write(folder / "bin" / "gt", f'#!/bin/sh\nexec "{sys.executable}" -S "{fake_gt}" "$@"\n')
        (folder / "bin" / "gt").chmod(0o755)
        self.environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "TMUX_TMPDIR": str(tmux_folder),
            "FAKE_GT_LOG": str(self.gt_log),
            "TOWN_ID": "town-1",
            "INTERNAL_API_KEY": KEY,
            "GT_HOME": str(self.volume),
            "R2_ENDPOINT": bucket.settings.endpoint,
            "R2_BUCKET": bucket.name,
            "R2_ACCESS_KEY": "test-access-key",
            "R2_SECRET_KEY": "test-secret-key",
            "R2_PREFIX": bucket.settings.prefix,
            "SYNC_INTERVAL_SECONDS": "3600",
            "HOST": "127.0.0.1",
            "PORT": "0",
            "DOLT_PORT": "1",
        }

    def start(self, **environment: str) -> "Sandbox":
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sandbox"],
                env={**self.environment, **environment},
                stderr=output,
                stdout=output,
            )
        self.port = poll(self._port, f"the API's port in {self.output.read_text()}")
        return self

    def _port(self) -> int | None:
        started = [line for line in self.output.read_text().splitlines() if "API answers" in line]
        return int(started[-1].split()[-1]) if started else None

    def ask(self, method: str, path: str) -> Answer:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            headers={"x-internal-api-key": KEY},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def health(self, section: str) -> dict[str, object]:
        values = self.ask("GET", "/health")[1][section]
        assert isinstance(values, dict)
        return values

    def wait_for(self, section: str, **expected: object) -> dict[str, object]:
        """Wait until a section of /health has these values."""

        def check() -> dict[str, object] | None:
            values = self.health(section)
            return values if expected.items() <= values.items() else None

        return poll(check, f"{section} with {expected}")

    def wait_for_backup(self) -> str:
        return str(poll(lambda: self.health("backup")["snapshot"], "a first backup"))

    def gt_commands(self) -> list[str]:
        if not self.gt_log.exists():
            return []
        entries = [json.loads(line) for line in self.gt_log.read_text().splitlines()]
        commands = [" ".join(entry["arguments"]) for entry in entries]
        return [command for command in commands if command != "version"]

    def terminate(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
