"""The Dolt server: greets as a MySQL server does, if it can open the town's databases."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from .town import write_json

READY_SECONDS = 15.0


def start(town: Path) -> int:
    """Start it alone, without a daemon, and wait until it answers."""
    (town / "daemon").mkdir(exist_ok=True)  # no backup holds it
    with (town / "daemon" / "dolt.log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-S", "-m", "localcloud.standin", "standin", "dolt", str(town)],
            cwd=town,
            env={**os.environ, "GT_HOME": str(town)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if answers(port()):
            (town / "daemon" / "dolt.pid").write_text(str(server.pid))
            return 0
        time.sleep(0.02)
    print("gt (stand-in): Dolt did not come up", file=sys.stderr)
    return 1


def stop(town: Path) -> int:
    """End what `start` started."""
    with contextlib.suppress(OSError, ValueError):
        os.kill(int((town / "daemon" / "dolt.pid").read_text()), signal.SIGTERM)
    return 0


def live(folder: str) -> None:
    """Be the server until SIGTERM."""
    ends = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ends.set())
    serve(Path(folder))
    ends.wait()


def serve(town: Path) -> None:
    """Greet whoever connects. Ends the process if a database can't be opened."""
    databases = [one.name for one in sorted((town / ".dolt-data").iterdir()) if one.is_dir()]
    for name in databases:
        try:
            json.loads((town / ".dolt-data" / name / ".dolt" / "repo_state.json").read_text())
        except (OSError, ValueError) as error:
            sys.exit(f"database {name} can't be opened: {error}")
    server = socket.create_server(("127.0.0.1", port()), backlog=16)
    write_json(
        town / "daemon" / "dolt-state.json",
        {"running": True, "pid": os.getpid(), "port": port(), "databases": databases},
    )
    body = b"\x0a8.0.33-dolt-standin\0" + b"\x01\0\0\0" + b"abcdefgh\0" + b"\0" * 18
    greeting = len(body).to_bytes(3, "little") + b"\0" + body

    def greet() -> None:
        while True:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(greeting)

    threading.Thread(target=greet, daemon=True).start()


def port() -> int:
    """Where Dolt is to answer."""
    return int(os.environ.get("GT_DOLT_PORT") or os.environ.get("DOLT_PORT") or "3307")


def answers(number: int) -> bool:
    """Does anything greet on that port?"""
    try:
        with socket.create_connection(("127.0.0.1", number), timeout=1) as connection:
            return bool(connection.recv(5))
    except OSError:
        return False
