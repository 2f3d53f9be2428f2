"""`python -m localcloud`: starts everything, says where it is, and ends everything."""

import fcntl
import json
import logging
import os
import signal
import sys
import threading
from typing import Any

from . import environment, reaper
from .api import Api
from .faults import Faults
from .fleet import Fleet
from .options import ACCESS_KEY, BUCKET, SECRET_KEY, Options
from .state import State
from .web import Server


class CannotServe(Exception):
    """One line that says why, and what to do."""


def serve(options: Options) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("localcloud").setLevel(logging.INFO)
    try:
        _serve(options)
    except CannotServe as error:
        print(f"localcloud: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(options: Options) -> None:
    ends = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ends.set())
    lock = _lock(options)
    try:
        state, faults = _state(options), Faults()
        fleet = Fleet(options, state)
        api, s3 = _servers(options, fleet, faults)
        if environment.uses_standin(options):
            environment.write_standin(options)
        guard = reaper.start(options.directory, fleet.run)
        for name, target in (("api", api.serve_forever), ("s3", s3.serve_forever)):
            threading.Thread(target=target, name=name, daemon=True).start()
        fleet.pick_up()
        print(json.dumps(_addresses(options, api.server_port, s3.server_port)), flush=True)
        ends.wait()
        # Sandboxes back up as they end: the bucket goes last.
        fleet.close()
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait(10)
    finally:
        os.close(lock)


def _lock(options: Options) -> int:
    """One local cloud a folder, as long as it lives."""
    try:
        options.directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(options.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotServe(
            f"--dir {options.directory} can't be used: {error.strerror}. Choose another folder."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise CannotServe(
            f"another local cloud runs in {options.directory}. End it, or choose another --dir."
        ) from None
    return lock


def _state(options: Options) -> State:
    try:
        return State(options.directory, options.apps[0])
    except ValueError as error:
        raise CannotServe(f"{error}. Remove {options.directory} to begin anew.") from None


def _servers(options: Options, fleet: Fleet, faults: Faults) -> tuple[Server, Any]:
    from .bucket import Bucket, bucket_server  # moto takes its second to import

    try:
        api = Server(options.port, Api(fleet, faults).handle)
    except OSError as error:
        raise CannotServe(f"--port {options.port}: {error.strerror}. Choose another one.") from None
    try:
        return api, bucket_server(options.s3_port, Bucket(options.directory, faults))
    except OSError:
        raise CannotServe(f"--s3-port {options.s3_port} is in use. Choose another one.") from None


def _addresses(options: Options, port: int, s3_port: int) -> dict[str, object]:
    here = f"http://127.0.0.1:{port}"
    return {
        "fly_api_url": f"{here}/v1",
        "fly_api_token": options.token,
        "app": ",".join(options.apps),
        "sandbox_url": f"{here}/machines/{{machine_id}}",
        "r2_endpoint_url": f"http://127.0.0.1:{s3_port}",
        "r2_bucket": BUCKET,
        "r2_access_key_id": ACCESS_KEY,
        "r2_secret_access_key": SECRET_KEY,
        "dir": str(options.directory),
        "pid": os.getpid(),
    }
