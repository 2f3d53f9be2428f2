"""Each flow survives `kill -9` of the worker between any two of its steps.

One operation of each kind is driven by workers of which each is killed before the next step; every
next one takes over. Nothing is done twice that must not be, and no data is lost.
"""

import pytest

from tests.e2e.installation import Installation
from towns.flows.registry import flow_of
from towns.words import OperationKind

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def drive_with_kills(ops: Installation, kind: OperationKind) -> None:
    """Drive the open operation to its end, with a kill before each step but the first."""
    for step in flow_of(kind).steps[1:]:
        ops.killed_before(step.__name__)
    done = ops.run("run_operations", "--until-idle", "3")
    assert done.returncode == 0, done.stderr


def running_town(ops: Installation) -> str:
    name = ops.new_town()
    ops.write(name, "the work")
    return name


def assert_whole(ops: Installation, name: str) -> None:
    """It runs with its data, on one machine and one volume."""
    town = ops.town(name)
    assert town["status"] == "running", town["status_reason"]
    assert ops.machines_of(name) == [town["machine_id"]]
    assert ops.read(name) == "the work"


def test_provision(ops: Installation) -> None:
    before = ops.volumes()
    name = "alice/killed-provision"
    ops.manage("town", "create", name)
    drive_with_kills(ops, OperationKind.PROVISION)
    assert ops.town(name)["status"] == "running"
    assert len(ops.machines_of(name)) == 1
    assert ops.volumes() - before >= {ops.town(name)["volume_id"]}


def test_stop_and_start(ops: Installation) -> None:
    name = running_town(ops)
    ops.manage("town", "stop", name)
    drive_with_kills(ops, OperationKind.STOP)
    assert ops.town(name)["status"] == "stopped"
    ops.manage("town", "start", name)
    drive_with_kills(ops, OperationKind.START)
    assert_whole(ops, name)


def test_restart(ops: Installation) -> None:
    name = running_town(ops)
    ops.manage("town", "restart", name)
    drive_with_kills(ops, OperationKind.RESTART)
    assert_whole(ops, name)


def test_backup(ops: Installation) -> None:
    name = running_town(ops)
    before = ops.snapshot(name)
    ops.manage("town", "backup", name)
    drive_with_kills(ops, OperationKind.BACKUP)
    assert ops.snapshot(name) > before
    assert_whole(ops, name)


def test_recover(ops: Installation) -> None:
    name = running_town(ops)
    ops.backed_up(name)
    ops.cloud.ctl.lose_volume(ops.town(name)["volume_id"])
    ops.manage("town", "stop", name)  # a 404 is not stopped: it ends in error
    ops.run("run_operations", "--until-idle", "3")
    assert ops.town(name)["status"] == "error"
    ops.manage("town", "recover", name)
    drive_with_kills(ops, OperationKind.RECOVER)
    assert_whole(ops, name)


def test_destroy_and_restore(ops: Installation) -> None:
    name = running_town(ops)
    volume = ops.town(name)["volume_id"]
    ops.manage("town", "destroy", name, "--yes")
    drive_with_kills(ops, OperationKind.DESTROY)
    assert ops.town(name)["status"] == "destroyed"
    assert ops.machines_of(name) == []
    assert volume not in ops.volumes()
    ops.manage("town", "restore", name)
    drive_with_kills(ops, OperationKind.RESTORE)
    assert_whole(ops, name)
