"""A local cloud, and a client that speaks its API."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
import requests

from localcloud.harness import Running, running_localcloud


class Api:
    """Fly's Machines API of a local cloud."""

    def __init__(self, cloud: Running) -> None:
        self.cloud = cloud
        self.url = f"{cloud.fly_api_url}/apps/{cloud.app}"

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        """One call, with the token."""
        return requests.request(
            method,
            f"{self.url}{path}",
            json=body,
            headers={"authorization": f"Bearer {self.cloud.fly_api_token}", **headers},
            timeout=30,
        )

    def volume(self, name: str = "data", region: str = "iad") -> str:
        """A new volume's id."""
        answer = self.call("POST", "/volumes", {"name": name, "region": region})
        return str(answer.json()["id"])

    def machine(self, **fields: Any) -> dict[str, Any]:
        """A machine without a town, which isn't started unless `skip_launch` says otherwise."""
        config = {"image": "x", **fields.pop("config", {})}
        body = {"name": "one", "region": "iad", "skip_launch": True, "config": config, **fields}
        answer = self.call("POST", "/machines", body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def town(self, name: str, *, generation: int = 1, volume: str | None = None) -> dict[str, Any]:
        """A machine with a sandbox in it, which boots."""
        cloud, volume = self.cloud, volume or self.volume()
        env = {
            "TOWN_ID": name,
            "INTERNAL_API_KEY": "key",
            "R2_ENDPOINT": cloud.r2_endpoint_url,
            "R2_BUCKET": cloud.r2_bucket,
            "R2_ACCESS_KEY": cloud.r2_access_key_id,
            "R2_SECRET_KEY": cloud.r2_secret_access_key,
            "R2_PREFIX": f"gastown/{name}/",
            "GT_HOME": "/data",
            "SYNC_INTERVAL_SECONDS": "60",
            "GENERATION": str(generation),
        }
        config = {"env": env, "mounts": [{"volume": volume, "path": "/data"}]}
        return self.machine(name=name, skip_launch=False, config=config)

    def health(self, machine_id: str) -> dict[str, Any]:
        """What the sandbox says; nothing if it doesn't answer."""
        url = self.cloud.sandbox_url.format(machine_id=machine_id)
        with contextlib.suppress(requests.RequestException, ValueError):
            found: dict[str, Any] = requests.get(
                f"{url}/health", headers={"x-internal-api-key": "key"}, timeout=5
            ).json()
            return found
        return {}

    def is_well(self, machine_id: str) -> bool:
        """Do daemon and Dolt run?"""
        health = self.health(machine_id)
        return bool(health) and health["daemon"]["running"] and health["dolt"]["running"]

    def state(self, machine_id: str) -> str:
        """The machine's state."""
        return str(self.call("GET", f"/machines/{machine_id}").json()["state"])

    def stop(self, machine_id: str) -> None:
        """Stop a machine as we do, and wait until it is."""
        self.call("POST", f"/machines/{machine_id}/stop", {"signal": "SIGTERM", "timeout": "20s"})
        until(lambda: self.state(machine_id) == "stopped", "the machine is stopped")

    def s3(self) -> Any:
        """A client of the bucket."""
        return boto3.client(
            "s3",
            endpoint_url=self.cloud.r2_endpoint_url,
            aws_access_key_id=self.cloud.r2_access_key_id,
            aws_secret_access_key=self.cloud.r2_secret_access_key,
            region_name="auto",
        )


def until(look: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Look until it is true; fails with `what`."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)  # real processes: there is nobody to tell us


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One for all tests of a file."""
    with running_localcloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield Api(cloud)


@pytest.fixture(autouse=True)
def _all_well(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "api" in request.fixturenames:
        request.getfixturevalue("api").cloud.ctl.reset()
