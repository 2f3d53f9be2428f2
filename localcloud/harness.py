"""A local cloud for the time of a block: for tests, benchmarks and whoever wants one."""

import json
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .client import Ctl
from .options import ROOT

READY_SECONDS = 60.0
END_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    """Where it is, and the control."""

    fly_api_url: str
    fly_api_token: str
    app: str
    sandbox_url: str
    r2_endpoint_url: str
    r2_bucket: str
    r2_access_key_id: str
    r2_secret_access_key: str
    dir: str
    pid: int
    process: subprocess.Popen[str]

    @property
    def ctl(self) -> Ctl:
        """Breaks and mends it."""
        return Ctl(self.fly_api_url.removesuffix("/v1"), self.fly_api_token)


@contextmanager
def running_localcloud(
    directory: Path,
    *,
    latency: float = 0.05,
    rate: float = 0.0,
    beat: float = 0.5,
    extra: Sequence[str] = (),
) -> Iterator[Running]:
    """Start one on free ports; it has ended, with everything it started, afterwards.

    `latency` and the stand-in daemons' `beat` in seconds, `rate` multiplies Fly's limits (0: none).
    Raises RuntimeError if it doesn't start.
    """
    command = [sys.executable, "-m", "localcloud", "--dir", str(directory)]
    command += ["--port", "0", "--s3-port", "0", "--latency", str(latency), "--rate", str(rate)]
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "localcloud.log").open("a") as log:
        process = subprocess.Popen(
            [*command, "--beat-seconds", str(beat), *extra],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield Running(**_ready(process, directory), process=process)
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(process: subprocess.Popen[str], directory: Path) -> dict[str, Any]:
    assert process.stdout is not None
    answered, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
    line = process.stdout.readline() if answered else ""
    if not line:
        tail = (directory / "localcloud.log").read_text()[-500:]
        process.kill()
        raise RuntimeError(f"the local cloud did not start: {tail}")
    found: dict[str, Any] = json.loads(line)
    return found
