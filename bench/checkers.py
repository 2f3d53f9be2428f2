"""Well-known checkers that install from Debian, on a played fleet: HAProxy's health checks, which
look at a status alone, and Prometheus, which parses eleven figures of each target and stores them.
"""

import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.health_line import PER, Line
from bench.processes import cpu_seconds, memory, played, tree_cpu

SIZES = (1000, 10_000)
INTERVAL_SECONDS = 10
ROUNDS = 2
WARM_UP_SECONDS = 15
"""Longer than an interval: by then each was asked once."""


def measured() -> Iterator[Line]:
    """Lines for each checker that there is."""
    for name, work in (("haproxy", _haproxy), ("prometheus", _prometheus)):
        if shutil.which(name) is None:
            print(f"{name} is not there (Debian: apt install {name}): left out", file=sys.stderr)
            continue
        for towns in SIZES:
            with tempfile.TemporaryDirectory() as folder, played() as (port, fleet):
                command = work(Path(folder), _addresses(towns, port))
                yield _observed(f"(c) {name}", towns, command, port, fleet)


def _addresses(towns: int, port: int) -> list[str]:
    return [f"127.1.{n // 250}.{1 + n % 250}:{port}" for n in range(towns)]


def _observed(what: str, towns: int, command: list[str], port: int, fleet: int) -> Line:
    """Seconds for 10,000 checks that were answered, of a checker that is left to run for a while:
    one that can't keep to its interval makes fewer of them."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(WARM_UP_SECONDS)
        before = tree_cpu(process.pid), cpu_seconds(fleet), _answered(port)
        time.sleep(ROUNDS * INTERVAL_SECONDS)
        after = tree_cpu(process.pid), cpu_seconds(fleet), _answered(port)
        if process.poll() is not None:
            raise SystemExit(f"{command[0]} ended by itself.")
        memory_mb, rss_mb = memory(process.pid)
    finally:
        process.kill()
        process.wait()
    cpu, fleet_cpu, checks = (b - a for a, b in zip(before, after, strict=True))
    share = PER / max(1, checks)
    return Line(
        what,
        towns,
        "own addresses",
        ROUNDS * INTERVAL_SECONDS * share,
        cpu * share,
        None,
        memory_mb,
        rss_mb,
        fleet_cpu=fleet_cpu * share,
    )


def _answered(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/answered") as answer:
        return int(answer.read())


def _haproxy(folder: Path, addresses: list[str]) -> list[str]:
    servers = "\n".join(
        f"  server s{number} {address} check inter {INTERVAL_SECONDS}s"
        for number, address in enumerate(addresses)
    )
    config = folder / "haproxy.cfg"
    config.write_text(
        "global\n  maxconn 2000\ndefaults\n  mode http\n  timeout connect 5s\n"
        "  timeout client 5s\n  timeout server 5s\n"
        f"frontend nobody\n  bind unix@{folder / 'socket'}\n  default_backend towns\n"
        "backend towns\n"
        f"  option httpchk GET /00000000/health\n{servers}\n"
    )
    return ["haproxy", "-db", "-f", str(config)]


def _prometheus(folder: Path, addresses: list[str]) -> list[str]:
    config = folder / "prometheus.yml"
    targets = ", ".join(f"'{address}'" for address in addresses)
    config.write_text(
        "scrape_configs:\n  - job_name: towns\n"
        f"    scrape_interval: {INTERVAL_SECONDS}s\n    scrape_timeout: 5s\n"
        f"    static_configs:\n      - targets: [{targets}]\n"
    )
    return [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
