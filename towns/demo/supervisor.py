"""Starts the demo's processes, waits, and ends them. Knows nothing of Django's database."""

import json
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from towns.demo.children import Children
from towns.demo.places import Place, free_port

ROOT = Path(__file__).resolve().parent.parent.parent
CLOUD_SECONDS = 60.0


class DemoError(Exception):
    """The demo can't go on; one line says why."""


def run(root: Path, *, port: int, check: bool) -> int:
    """Run the demo until Ctrl-C, or its check until it is done; returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    if check and root.exists():
        shutil.rmtree(root)
    place = Place(root)
    web_port = free_port(port)
    try:
        with Children(root / "logs") as children:
            print("Starting the local cloud …", flush=True)
            cloud = _start_cloud(children, root, quick=check)
            env = place.environment(cloud, web_port)
            _migrate(env)
            _start_servers(children, env, web_port)
            inside = children.start(
                "demo",
                [sys.executable, "manage.py", "demo", "--inside", *(["--check"] if check else [])],
                {**env, "LOG_LEVEL": "WARNING"},
                log=False,
            )
            while children.ended() is None:
                time.sleep(0.2)
            if inside.poll() is not None:
                return inside.returncode
            name, code = children.ended() or ("", 0)
            raise DemoError(f"{name} ended with exit code {code}; see {children.log_of(name)}")
    except KeyboardInterrupt:
        print("\nEverything has ended. `make demo` picks the fleet up again.")
        return 0
    except DemoError as error:
        print(f"The demo could not go on: {error}", file=sys.stderr)
        return 1


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def _start_cloud(children: Children, root: Path, *, quick: bool) -> dict[str, Any]:
    """Start the local cloud and return what it says when it is ready."""
    cloud = children.start(
        "localcloud",
        [
            sys.executable,
            "-m",
            "localcloud",
            "--dir",
            str(root / "cloud"),
            "--port",
            "0" if quick else str(free_port(4280)),
            "--s3-port",
            "0" if quick else str(free_port(4290)),
        ],
        Place(root).base_environment(),
        stdout=subprocess.PIPE,
    )
    assert cloud.stdout is not None
    ready, _, _ = select.select([cloud.stdout], [], [], CLOUD_SECONDS)
    line = cloud.stdout.readline() if ready else ""
    if not line:
        raise DemoError(f"the local cloud did not start; see {children.log_of('localcloud')}")
    found: dict[str, Any] = json.loads(line)
    return found


def _migrate(env: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"the database could not be migrated: {done.stderr.strip()[-500:]}")


def _start_servers(children: Children, env: dict[str, str], port: int) -> None:
    children.start("workers", [sys.executable, "manage.py", "qcluster"], env)
    children.start(
        "web",
        [
            sys.executable,
            "-m",
            "uvicorn",
            "gastown_ops.asgi:application",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--lifespan",
            "off",
        ],
        env,
    )
