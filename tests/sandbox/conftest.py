"""A bucket on a real S3 server (moto's), one for each test; no AWS settings of the developer."""

import itertools
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from sandbox.settings import R2Settings

from .running import ControlPlane, Sandbox
from .world import PREFIX, Bucket, make_town

_numbers = itertools.count()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of an S3 server on a free port."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str) -> Bucket:
    """An empty bucket."""
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id="test-access-key",
        aws_secret_access_key="test-secret-key",
    )
    name = f"bucket-{next(_numbers)}"
    client.create_bucket(Bucket=name)
    return Bucket(
        client, R2Settings(s3_endpoint, name, PREFIX, "test-access-key", "test-secret-key")
    )


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """A whole town on disk."""
    return make_town(tmp_path / "town")


@pytest.fixture
def tmux_folder() -> Iterator[Path]:
    """A folder for tmux's sockets with a name short enough: they have about 100 bytes."""
    with tempfile.TemporaryDirectory(prefix="tmux-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def sandbox(tmp_path: Path, bucket: Bucket, tmux_folder: Path) -> Iterator[Sandbox]:
    """A sandbox that is not started yet."""
    sandbox = Sandbox(tmp_path, bucket, tmux_folder)
    yield sandbox
    sandbox.kill()


@pytest.fixture
def control_plane() -> Iterator[ControlPlane]:
    """Something that listens to heartbeats."""
    server = ControlPlane()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
