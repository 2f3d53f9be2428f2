"""`python -m bench.hosts`: a health sweep by one, two and four worker hosts, and by two of which
one is cut off in the middle. Wants root, for network namespaces, and PostgreSQL's programs.

Each host is a network namespace with a name and an address of its own, on a bridge to a PostgreSQL
server and a played fleet; nothing but the database's address is told to it. A host asks so many
towns at a time that it is bounded by that and by how long they take, not by this machine's cores.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.cluster import cluster, finished
from bench.processes import played

TOWNS = 6000
PAUSE_SECONDS = 0.2
AT_A_TIME = 32
"""Towns that a host asks at a time: 160 a second."""
BRIDGE, PREFIX = "gastown-bench", "10.77.77"
PORT = 5499
NAME = "gastown_bench_hosts"


def main() -> int:
    """The exit code: 1 if a promise was not kept, 2 if it can't be tried here."""
    programs = _programs()
    if os.geteuid() != 0 or programs is None or shutil.which("ip") is None:
        print("This wants root, iproute2 and PostgreSQL's server programs.")
        return 2
    with ExitStack() as stack:
        stack.enter_context(_bridge())
        os.environ["GASTOWN_TEST_POSTGRESQL"] = stack.enter_context(_server(programs))
        from bench.database import own_database
        from bench.health import make_towns

        stack.enter_context(own_database(NAME))
        make_towns(TOWNS)
        port, _ = stack.enter_context(played(pause=PAUSE_SECONDS))
        took = {hosts: _sweep(hosts, port, hosts) for hosts in (1, 2, 4)}
        for hosts, seconds in took.items():
            print(f"{hosts} hosts: {seconds:5.1f} s, {seconds / took[1]:.2f} of the time of one")
        lost = _sweep(2, port, 10, cut=True)
        print(f"2 hosts, one cut off in the middle: {lost:5.1f} s; all towns have one check each")
    return 0 if took[2] <= 0.6 * took[1] else 1


def _sweep(hosts: int, port: int, number: int, *, cut: bool = False) -> float:
    """Seconds of a sweep by so many hosts; with `cut` the first is cut off after a quarter."""
    from django.db.models import Count
    from django_q.tasks import async_task

    from towns.models import HealthCheck, Sweep, Town

    environment = {
        "GASTOWN_SANDBOX_URL": f"http://{PREFIX}.1:{port}/{{town_id}}",
        "GASTOWN_INTERNAL_API_SECRET": "bench",
        "GASTOWN_FLY_APP_NAME": "towns",
        "GASTOWN_HEALTH_PERIOD_SECONDS": "1",
        "GASTOWN_PROBE_CONCURRENCY": str(AT_A_TIME),
        "GASTOWN_SWEEP_CHUNK_SIZE": "100",
        "GASTOWN_SWEEP_RUNNERS": "1",
        "GASTOWN_WORKERS": "2",
    }
    slot = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    with ExitStack() as stack:
        for host in range(1, hosts + 1):
            stack.enter_context(_host(host))
            name = f'hostname host-{host} && exec "$@"'
            command = ["ip", "netns", "exec", f"{BRIDGE}-{host}", "unshare", "--uts"]
            stack.enter_context(cluster(environment, [*command, "sh", "-c", name, "sh"]))
        time.sleep(5)  # all are up: what is measured is the sweep
        async_task("towns.tasks.sweep_health", slot.isoformat())
        if cut:
            while HealthCheck.objects.filter(slot=slot).count() < TOWNS / 4:
                time.sleep(0.1)
            _ip("link", "set", _link(1), "down")
        found = finished(slot)
    towns = Town.objects.count()
    checked = HealthCheck.objects.filter(slot=slot)
    assert checked.count() == towns == TOWNS, f"{checked.count()} checks of {towns} towns"
    assert not checked.values("town").annotate(n=Count("pk")).filter(n__gt=1).exists()
    sweep = Sweep.objects.get(pk=found.pk)
    assert sweep.summary["results"] == {"ok": TOWNS}, sweep.summary
    assert found.finished_at is not None
    return (found.finished_at - found.started_at).total_seconds()


def _link(host: int) -> str:
    return f"gsbench{host}"


@contextmanager
def _host(number: int) -> Iterator[None]:
    """A network namespace on the bridge."""
    space, link = f"{BRIDGE}-{number}", _link(number)
    _ip("netns", "add", space)
    try:
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", link, "master", BRIDGE, "up")
        _ip("-n", space, "addr", "add", f"{PREFIX}.{10 + number}/24", "dev", "eth0")
        _ip("-n", space, "link", "set", "eth0", "up")
        _ip("-n", space, "link", "set", "lo", "up")
        yield
    finally:
        subprocess.run(["ip", "link", "del", link], check=False, stderr=subprocess.DEVNULL)
        _ip("netns", "del", space)


@contextmanager
def _bridge() -> Iterator[None]:
    _ip("link", "add", BRIDGE, "type", "bridge")
    try:
        _ip("addr", "add", f"{PREFIX}.1/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        yield
    finally:
        _ip("link", "del", BRIDGE)


@contextmanager
def _server(programs: Path) -> Iterator[str]:
    """A PostgreSQL server on the bridge; yields its address."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.chown(folder, "postgres")
        data = f"{folder}/data"

        def run(*command: str) -> None:
            subprocess.run(
                ["runuser", "-u", "postgres", "--", *command],
                check=True,
                cwd="/",
                stdout=subprocess.DEVNULL,
            )

        run(str(programs / "initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--no-sync")
        with open(f"{data}/pg_hba.conf", "a") as access:
            access.write(f"host all all {PREFIX}.0/24 trust\n")
        options = f"-c listen_addresses={PREFIX}.1 -p {PORT} -c unix_socket_directories={folder}"
        run(
            str(programs / "pg_ctl"),
            "-D",
            data,
            "-w",
            "-l",
            f"{folder}/log",
            "-o",
            options,
            "start",
        )
        try:
            yield f"postgres://postgres@{PREFIX}.1:{PORT}"
        finally:
            run(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "stop")


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


if __name__ == "__main__":
    sys.exit(main())
