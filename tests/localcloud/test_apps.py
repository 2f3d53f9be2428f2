"""Several apps: each has its own machines and volumes, and breaks by itself."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from localcloud.harness import Running, running_localcloud
from localcloud.options import parse

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    extra = ["--app", "one-{1..2}", "--app", "other"]
    with running_localcloud(tmp_path_factory.mktemp("apps"), extra=extra) as found:
        yield found
        found.ctl.reset()


def call(cloud: Running, method: str, path: str, body: Any = None) -> requests.Response:
    headers = {"authorization": f"Bearer {cloud.fly_api_token}"}
    url = f"{cloud.fly_api_url}/apps/{path}"
    return requests.request(method, url, json=body, headers=headers, timeout=30)


def volume(cloud: Running, app: str) -> str:
    body = {"name": "data", "region": "iad"}
    return str(call(cloud, "POST", f"{app}/volumes", body).json()["id"])


def machine(cloud: Running, app: str, volume_id: str, name: str = "same") -> requests.Response:
    config = {"image": "x", "mounts": [{"volume": volume_id, "path": "/data"}]}
    body = {"name": name, "region": "iad", "skip_launch": True, "config": config}
    return call(cloud, "POST", f"{app}/machines", body)


def test_it_names_them_as_the_setting_does(cloud: Running) -> None:
    assert cloud.app == "one-1,one-2,other"
    codes = [call(cloud, "GET", app).status_code for app in (*cloud.app.split(","), "one-3")]
    assert codes == [200, 200, 200, 404]


def test_what_one_has_another_has_not(cloud: Running) -> None:
    mine, theirs = volume(cloud, "one-1"), volume(cloud, "one-2")
    made = machine(cloud, "one-1", mine).json()["id"]
    assert machine(cloud, "one-2", theirs).status_code == 200, "a name is an app's"
    assert machine(cloud, "one-2", mine, "another").status_code == 400
    assert call(cloud, "GET", f"one-1/machines/{made}").status_code == 200
    assert call(cloud, "GET", f"one-2/machines/{made}").status_code == 404
    assert call(cloud, "DELETE", f"one-2/volumes/{mine}").status_code == 404
    listed = [one["id"] for one in call(cloud, "GET", "one-1/machines").json()]
    assert listed == [made]
    assert [one["id"] for one in call(cloud, "GET", "one-1/volumes").json()] == [mine]
    assert call(cloud, "GET", "other/machines").json() == []


def test_one_app_breaks_alone(cloud: Running) -> None:
    cloud.ctl.refuse_token(401, app="one-2")
    cloud.ctl.app_gone("other")
    codes = [
        call(cloud, "GET", f"{app}/machines").status_code for app in ("one-1", "one-2", "other")
    ]
    assert codes == [200, 401, 404]
    cloud.ctl.accept_token(app="one-2")
    cloud.ctl.app_back("other")
    assert {call(cloud, "GET", app).status_code for app in ("one-2", "other")} == {200}


def test_one_app_is_called_towns() -> None:
    assert parse([]).apps == ("towns",)
    assert parse(["--app", "mine"]).apps == ("mine",)
    with pytest.raises(SystemExit):
        parse(["--app", "t{1..}"])
