"""A whole Gastown Ops on a local cloud: used as an operator would, by its commands alone."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import boto3
import psycopg

from localcloud.harness import Running, running_localcloud
from localcloud.options import ROOT
from tests.e2e.workers import Workers, running_workers

SYNC_SECONDS = 2
LEASE_SECONDS = 1
T = TypeVar("T")


class CommandFailed(AssertionError):
    """A command ended with another exit code than 0."""

    def __init__(self, arguments: Sequence[str], code: int, stderr: str) -> None:
        super().__init__(f"{' '.join(arguments)}: exit code {code}: {stderr}")
        self.code = code
        self.stderr = stderr


class Installation:
    """`manage` runs a command; nothing drives operations but what a test starts."""

    def __init__(self, cloud: Running, database_url: str) -> None:
        self.cloud = cloud
        self._workers: Workers | None = None
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("GASTOWN_")},
            "DJANGO_SETTINGS_MODULE": "gastown_ops.settings",
            "GASTOWN_ENV_FILE": "",
            "DEBUG": "true",
            "LOG_LEVEL": "WARNING",
            "DATABASE_URL": database_url,
            "REDIS_URL": "",
            "EMAIL_URL": "dummymail://",
            "GASTOWN_FLY_API_URL": cloud.fly_api_url,
            "GASTOWN_FLY_API_TOKEN": cloud.fly_api_token,
            "GASTOWN_FLY_APP_NAME": cloud.app,
            "GASTOWN_SANDBOX_IMAGE": "localcloud/sandbox:1",
            "GASTOWN_SANDBOX_URL": cloud.sandbox_url,
            "GASTOWN_INTERNAL_API_SECRET": "e2e-internal-secret",
            "GASTOWN_R2_ENDPOINT_URL": cloud.r2_endpoint_url,
            "GASTOWN_R2_BUCKET": cloud.r2_bucket,
            "GASTOWN_R2_ACCESS_KEY_ID": cloud.r2_access_key_id,
            "GASTOWN_R2_SECRET_ACCESS_KEY": cloud.r2_secret_access_key,
            "GASTOWN_SYNC_INTERVAL_SECONDS": str(SYNC_SECONDS),
            "GASTOWN_PROBE_TIMEOUT_SECONDS": "3",
            "GASTOWN_STOP_TIMEOUT_SECONDS": "30",
            "GASTOWN_LEASE_SECONDS": str(LEASE_SECONDS),
            "GASTOWN_DRIVER_THREADS": "4",
        }

    @property
    def workers(self) -> Workers:
        """Processes that have imported Django already."""
        assert self._workers is not None
        return self._workers

    @contextmanager
    def ready(self, folder: Path) -> Iterator[None]:
        """Keep a process at hand from which commands are forked: that costs them no start."""
        with running_workers(self.env, folder) as self._workers:
            yield

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command; whatever comes of it. With an environment of its own it starts anew."""
        if self._workers is not None and not env:
            told = self._workers.ask("manage", arguments=arguments)
            return subprocess.CompletedProcess(
                arguments, told["code"], told["stdout"], told["stderr"]
            )
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    @contextmanager
    def started(self, *arguments: str, **env: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Have a command run for the time of a block; it is terminated at its end."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)

    def manage(self, *arguments: str, **env: str) -> Any:
        """Run a command with --json and return its document; CommandFailed otherwise."""
        done = self.run(*arguments, "--json", **env)
        if done.returncode != 0:
            raise CommandFailed(arguments, done.returncode, done.stderr or done.stdout)
        return json.loads(done.stdout)

    def new_town(self) -> str:
        """A town that runs; returns its owner/name."""
        name = f"alice/town-{uuid4().hex[:8]}"
        self.manage("town", "create", name, "--wait")
        return name

    def town(self, name: str) -> dict[str, Any]:
        """The town as JSON."""
        shown: dict[str, Any] = self.manage("town", "show", name)
        return shown

    def write(self, name: str, text: str) -> None:
        """Have something written in the town, as an agent would."""
        self.cloud.ctl.write(self.town(name)["machine_id"], "notes", text)

    def read(self, name: str) -> str:
        """What is written in the town."""
        return str(self.cloud.ctl.read(self.town(name)["machine_id"], "notes"))

    def s3(self) -> Any:
        """A client of the bucket."""
        return boto3.client(
            "s3",
            endpoint_url=self.cloud.r2_endpoint_url,
            aws_access_key_id=self.cloud.r2_access_key_id,
            aws_secret_access_key=self.cloud.r2_secret_access_key,
            region_name="auto",
        )

    def snapshot(self, name: str) -> str:
        """The timestamp in the town's latest.json; nothing while there is none."""
        key = f"gastown/{self.town(name)['id']}/latest.json"
        s3 = self.s3()
        try:
            body = s3.get_object(Bucket=self.cloud.r2_bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return ""
        return str(json.loads(body)["timestamp"])

    def snapshot_file(self, name: str, file: str) -> bytes:
        """A file of the town's latest snapshot."""
        key = f"gastown/{self.town(name)['id']}/snapshots/{self.snapshot(name)}/{file}"
        body: bytes = self.s3().get_object(Bucket=self.cloud.r2_bucket, Key=key)["Body"].read()
        return body

    def backed_up(self, name: str) -> None:
        """Have all that is written by now in R2."""
        self.manage("town", "backup", name, "--wait")

    def machines_of(self, name: str) -> list[str]:
        """The ids of the machines that Fly has for the town."""
        machines = self.cloud.ctl.status()["machines"]
        return [machine["id"] for machine in machines if machine["town"] == name]

    def volumes(self) -> set[str]:
        """The ids of all volumes that Fly has."""
        return {volume["id"] for volume in self.cloud.ctl.status()["volumes"]}


def until(look: Callable[[], T | None], what: str, *, seconds: float = 60) -> T:
    """Look again and again until there is something true; fails with `what` when time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)  # real processes: there is nobody to tell us
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


@contextmanager
def scratch_database(folder: Path) -> Iterator[str]:
    """A database of its own, of the kind that DATABASE_URL names; yields its own DATABASE_URL."""
    server, _, _ = os.environ.get("DATABASE_URL", "").rpartition("/")
    if not server.startswith("postgres"):
        yield f"sqlite:///{folder / 'e2e.sqlite3'}"
        return
    name = f"e2e_{uuid4().hex[:12]}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # a name of our own making
    try:
        yield f"{server}/{name}"
    finally:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def installation(
    folder: Path, *, cloud_options: Sequence[str] = (), **env: str
) -> Iterator[Installation]:
    """Started in `folder`, with its database migrated; everything has ended afterwards."""
    with (
        running_localcloud(folder / "cloud", beat=2, extra=cloud_options) as cloud,
        scratch_database(folder) as database,
    ):
        ops = Installation(cloud, database)
        ops.env |= env
        done = ops.run("migrate", "--verbosity", "0")
        assert done.returncode == 0, done.stderr
        with ops.ready(folder):
            yield ops
