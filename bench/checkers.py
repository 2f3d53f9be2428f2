"""Well-known checkers that install from Debian, on a played fleet: HAProxy's health checks, which
look at a status alone, and Prometheus, which parses eleven figures of each target and stores them.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.health_line import PER, Line
from bench.processes import played, tree_cpu

TOWNS = 5000
INTERVAL_SECONDS = 10
WARM_UP_SECONDS = 15
"""Longer than an interval: by then each was asked once."""


def measured() -> Iterator[Line]:
    """A line for each checker that there is."""
    for name, work in (("haproxy", _haproxy), ("prometheus", _prometheus)):
        if shutil.which(name) is None:
            print(f"{name} is not there (Debian: apt install {name}): left out")
            continue
        with tempfile.TemporaryDirectory() as folder, played() as (port, _):
            cpu = work(Path(folder), port)
        yield Line(f"(c) {name}", TOWNS, "own addresses", INTERVAL_SECONDS * PER / TOWNS, cpu)


def _addresses(port: int) -> list[str]:
    return [f"127.1.{n // 250}.{1 + n % 250}:{port}" for n in range(TOWNS)]


def _cpu_of_two_rounds(command: list[str]) -> float:
    """CPU seconds for 10,000 checks."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(WARM_UP_SECONDS)
        before = tree_cpu(process.pid)
        time.sleep(2 * INTERVAL_SECONDS)
        spent = tree_cpu(process.pid) - before
        if process.poll() is not None:
            raise SystemExit(f"{command[0]} ended by itself.")
    finally:
        process.kill()
        process.wait()
    return spent / 2 * PER / TOWNS


def _haproxy(folder: Path, port: int) -> float:
    servers = "\n".join(
        f"  server s{number} {address} check inter {INTERVAL_SECONDS}s"
        for number, address in enumerate(_addresses(port))
    )
    config = folder / "haproxy.cfg"
    config.write_text(
        "global\n  maxconn 2000\ndefaults\n  mode http\n  timeout connect 5s\n"
        "  timeout client 5s\n  timeout server 5s\n"
        f"frontend nobody\n  bind unix@{folder / 'socket'}\n  default_backend towns\n"
        "backend towns\n"
        f"  option httpchk GET /00000000/health\n{servers}\n"
    )
    return _cpu_of_two_rounds(["haproxy", "-db", "-f", str(config)])


def _prometheus(folder: Path, port: int) -> float:
    config = folder / "prometheus.yml"
    targets = ", ".join(f"'{address}'" for address in _addresses(port))
    config.write_text(
        "scrape_configs:\n  - job_name: towns\n"
        f"    scrape_interval: {INTERVAL_SECONDS}s\n    scrape_timeout: 5s\n"
        f"    static_configs:\n      - targets: [{targets}]\n"
    )
    return _cpu_of_two_rounds(
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:0",
        ]
    )
