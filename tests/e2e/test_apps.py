"""Towns in two Fly apps, on real processes: what happens to one app doesn't happen to the other."""

from collections.abc import Iterator

import pytest

from tests.e2e.installation import Installation, installation

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
FIRST, SECOND = "towns-1", "towns-2"


@pytest.fixture(scope="module")
def two_apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("apps")
    options = ["--app", "towns-{1..2}"]
    with installation(folder, cloud_options=options, GASTOWN_FLY_APP_NAME="towns-{1..2}") as found:
        yield found


@pytest.fixture(autouse=True)
def mended(two_apps: Installation) -> Iterator[None]:
    yield
    two_apps.cloud.ctl.reset()


def app_of(ops: Installation, name: str) -> str:
    """The app that the town's one machine is in, at Fly."""
    machines = ops.cloud.ctl.status()["machines"]
    [app] = {one["app"] for one in machines if one["town"] == name}
    return str(app)


def town_in_each(ops: Installation) -> dict[str, str]:
    """Chance puts a town in either app: so many are made until each has one."""
    found = dict[str, str]()
    while len(found) < 2:
        name = ops.new_town()
        found[app_of(ops, name)] = name
    return found


def test_it_works(two_apps: Installation) -> None:
    """1. A town lives in each. 2. The token is refused for one app: the other's lost machine is
    recovered, and nothing is done about the first. 3. Once it is accepted, all is well."""
    ops = two_apps
    towns = town_in_each(ops)
    for app, name in towns.items():
        ops.write(name, f"work in {app}")
        ops.backed_up(name)
    before = {app: ops.town(name) for app, name in towns.items()}
    ops.cloud.ctl.refuse_token(401, app=FIRST)
    ops.cloud.ctl.lose_volume(before[SECOND]["volume_id"])
    done = ops.run("sweep_reconcile", *towns.values())
    assert done.returncode == 1
    assert f"Of app {FIRST} nothing is known" in done.stderr
    ops.manage("town", "restart", towns[SECOND], "--wait")
    again = ops.town(towns[SECOND])
    assert again["status"] == "running"
    assert again["machine_id"] != before[SECOND]["machine_id"]
    assert app_of(ops, towns[SECOND]) == SECOND
    assert ops.read(towns[SECOND]) == f"work in {SECOND}"
    untouched = ops.town(towns[FIRST])
    for fact in ("status", "machine_id", "volume_id", "status_reason"):
        assert untouched[fact] == before[FIRST][fact]
    ops.cloud.ctl.accept_token(app=FIRST)
    assert ops.run("sweep_reconcile", *towns.values()).returncode == 0
    for kind in ("stop", "start"):
        ops.manage("town", kind, towns[FIRST], "--wait")
    assert app_of(ops, towns[FIRST]) == FIRST
    assert ops.read(towns[FIRST]) == f"work in {FIRST}"


def test_a_wider_pattern_moves_nobody(two_apps: Installation) -> None:
    ops = two_apps
    name = ops.new_town()
    app = app_of(ops, name)
    wider = {"GASTOWN_FLY_APP_NAME": "other-{1..4}"}
    for kind in ("stop", "start"):
        ops.manage("town", kind, name, "--wait", **wider)
    assert app_of(ops, name) == app
    ops.manage("town", "destroy", name, "--yes", "--wait", **wider)
    assert ops.machines_of(name) == []
