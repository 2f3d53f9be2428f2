"""The environment and the command of a machine's process."""

import os
import random
import shlex
import shutil
import socket
import sys
from pathlib import Path

from . import processes
from .options import ROOT, Options
from .records import Machine
from .state import State

_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER")
_PORTS = range(20000, 32000)


def home_of(machine: Machine, state: State) -> Path:
    """Where GT_HOME is on this computer: on the volume if it is mounted there."""
    wanted = str(machine.config.get("env", {}).get("GT_HOME", "/data"))
    for mount in machine.config.get("mounts") or []:
        path = str(mount["path"]).rstrip("/")
        if wanted == path or wanted.startswith(f"{path}/"):
            return state.volume_dir(mount["volume"]) / wanted[len(path) :].strip("/")
    return state.machine_dir(machine.id) / "rootfs" / wanted.strip("/")


def environment_of(machine: Machine, state: State, options: Options, run: str) -> dict[str, str]:
    """A little of ours, then the machine's own, then what differs on this computer."""
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    env["GT_BEAT_SECONDS"] = f"{options.beat_seconds:g}"
    path = env.get("PATH", os.defpath)
    if uses_standin(options):
        path = f"{options.directory / 'bin'}{os.pathsep}{path}"
    env |= {name: str(value) for name, value in (machine.config.get("env") or {}).items()}
    env |= {
        "PATH": path,
        "GT_HOME": str(home_of(machine, state)),
        "HOST": "127.0.0.1",
        "PORT": str(machine.port),
        "DOLT_PORT": str(machine.dolt_port),
        "FLY_APP_NAME": machine.app,
        "FLY_MACHINE_ID": machine.id,
        "FLY_MACHINE_VERSION": machine.instance_id,
        "FLY_REGION": machine.region,
    }
    return env | processes.marks(options.directory, run=run, machine=machine.id)


def uses_standin(options: Options) -> bool:
    """Is the stand-in used for want of the real `gt`?"""
    return options.gt == "standin" or shutil.which("gt") is None


def write_standin(options: Options) -> None:
    """Put a `gt` into DIR/bin that runs the stand-in with this very Python."""
    folder = options.directory / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "gt"
    python, root = shlex.quote(sys.executable), shlex.quote(str(ROOT))
    # -S: without site-packages it starts in half the time, and many towns start at once.
    command = f'exec env PYTHONPATH={root} {python} -S -m localcloud.standin "$@"'
    draft = folder / "gt.draft"
    draft.write_text(f"#!/bin/sh\n{command}\n")
    draft.chmod(0o755)
    draft.rename(script)


def free_port(taken: set[int]) -> int:
    """A port that nobody listens on, outside of the range for outgoing connections."""
    for port in random.sample(_PORTS, 200):
        if port not in taken and _is_free(port):
            return port
    raise OSError("no free port was found")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
