"""What the tests of the sandbox share: a town on disk, a bucket, and looking into it."""

import atexit
import functools
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sandbox.settings import R2Settings
from sandbox.store import Store, connect

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

PREFIX = "gastown/town-1"
COMMIT_MESSAGE = "work of a polecat"


def poll(check: Callable[[], T | None], what: str, seconds: float = 20.0) -> T:
    """Ask until there is an answer that counts as true; fail after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for: {what}"
        time.sleep(0.02)


def write(path: Path, text: str) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def git(cwd: Path, *arguments: str) -> str:
    """Run git as a fixed author."""
    author = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *author, *arguments], cwd=cwd, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def make_town(town: Path, *, payload: str = "hello") -> Path:
    """A town with a rig, two databases and something in every place that a backup covers."""
    write(town / "mayor" / "town.json", '{"type": "town", "version": 2, "name": "test"}')
    rig = {"git_url": "https://example.test/web.git", "beads": {"prefix": "web"}}
    write(town / "mayor" / "rigs.json", json.dumps({"version": 1, "rigs": {"web": rig}}))
    write(town / "settings" / "config.json", '{"a": 1}')
    write(town / "config" / "note.txt", payload)
    write(town / ".beads" / "issues.jsonl", "{}\n")
    write(town / "web" / "settings" / "agents.json", "{}")
    write(town / "web" / "config.json", '{"rig": true}')
    for name in ("hq", "web"):
        write(town / ".dolt-data" / name / ".dolt" / "noms" / "manifest", f"5:{name}")
        write(town / ".dolt-data" / name / ".dolt" / "noms" / "LOCK", "")
        write(town / ".dolt-data" / name / ".dolt" / "sql-server.info", "412:3307:secret")
    write(town / ".runtime" / "heartbeats" / "web-nux.json", "{}")
    write(town / ".runtime" / "pids" / "web-nux.pid", "412")
    write(town / ".runtime" / "agent.lock", "")
    make_repository(town / "web" / ".repo.git")
    return town


def make_repository(repository: Path) -> None:
    """A bare repository with one commit on main and a tag."""
    shutil.copytree(_template_repository(), repository)


@functools.cache
def _template_repository() -> Path:
    """Made once: six runs of git are most of what a test would wait for."""
    folder = Path(tempfile.mkdtemp(prefix="sandbox-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    work, bare = folder / "work", folder / "bare.git"
    git(folder, "init", "-q", str(work))
    write(work / "file.txt", "content")
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", COMMIT_MESSAGE)
    git(work, "tag", "v1")
    git(folder, "clone", "-q", "--bare", str(work), str(bare))
    return bare


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of the test's own, and a client to look into it behind the sandbox's back."""

    client: "S3Client"
    settings: R2Settings

    @property
    def name(self) -> str:
        return self.settings.bucket

    def store(self) -> Store:
        return connect(self.settings)

    def all_keys(self) -> list[str]:
        answer = self.client.list_objects_v2(Bucket=self.name)
        start = len(self.settings.prefix) + 1
        return sorted(item["Key"][start:] for item in answer.get("Contents", []))

    def get(self, key: str) -> bytes:
        full = f"{self.settings.prefix}/{key}"
        return self.client.get_object(Bucket=self.name, Key=full)["Body"].read()

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=f"{self.settings.prefix}/{key}", Body=body)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=f"{self.settings.prefix}/{key}")

    def json(self, key: str) -> dict[str, object]:
        values = json.loads(self.get(key))
        assert isinstance(values, dict)
        return values

    def latest(self) -> str | None:
        """The timestamp in latest.json, or None."""
        if "latest.json" not in self.all_keys():
            return None
        return str(self.json("latest.json")["timestamp"])

    def snapshots(self) -> list[str]:
        """The snapshot folders, oldest first."""
        return sorted(
            {key.split("/")[1] for key in self.all_keys() if key.startswith("snapshots/")}
        )

    def tar_names(self, key: str) -> list[str]:
        with tarfile.open(fileobj=io.BytesIO(self.get(key))) as tar:
            return sorted(tar.getnames())

    def corrupt(self, timestamp: str, path: str = "config.tar") -> None:
        """Change a file of a snapshot without changing its size."""
        key = f"snapshots/{timestamp}/{path}"
        body = bytearray(self.get(key))
        body[len(body) // 2] ^= 0xFF
        self.put(key, bytes(body))
