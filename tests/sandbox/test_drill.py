"""DRILL=1: a throw-away machine that restores, and never acts as the town."""

import subprocess
import sys
from pathlib import Path

import pytest

from .running import ControlPlane, Sandbox
from .test_restore import back_up
from .world import Bucket, poll

ENDED = 0


def drill(sandbox: Sandbox, **more: str) -> Sandbox:
    """Start it as the control plane does, with a sync interval at which it would soon back up."""
    environment = {"DRILL": "1", "GENERATION": "0", "SYNC_INTERVAL_SECONDS": "0.05"}
    return sandbox.start(**{**environment, **more})


def test_it_restores_and_starts_dolt_alone(
    sandbox: Sandbox,
    bucket: Bucket,
    town: Path,
    control_plane: ControlPlane,
) -> None:
    [snapshot] = back_up(bucket, town)
    before = bucket.all_keys()
    drill(sandbox, CONTROL_PLANE_URL=f"http://127.0.0.1:{control_plane.server_port}")
    sandbox.wait_for("restore", state="done", snapshot=snapshot, error=None)
    poll(lambda: sandbox.gt_commands() or None, "Dolt's start")
    assert sandbox.health("drill") == {"corrupt": []}
    assert sandbox.ask("POST", "/sync") == (409, {"error": "this is a drill: it never backs up"})
    assert sandbox.terminate() == ENDED
    assert sandbox.gt_commands() == ["dolt start", "dolt stop"], "no `gt up`, no `gt down`"
    assert bucket.all_keys() == before, "nothing was written to R2"
    assert control_plane.beats == []


def test_it_tells_which_snapshots_are_corrupt(
    sandbox: Sandbox,
    bucket: Bucket,
    town: Path,
) -> None:
    first, second = back_up(bucket, town, 2)
    bucket.corrupt(second)
    drill(sandbox)
    sandbox.wait_for("restore", state="done", snapshot=first)
    assert sandbox.health("drill") == {"corrupt": [second]}


def test_if_none_is_sound_it_fails_and_names_them_all(
    sandbox: Sandbox,
    bucket: Bucket,
    town: Path,
) -> None:
    names = back_up(bucket, town, 2)
    for name in names:
        bucket.corrupt(name)
    drill(sandbox)
    sandbox.wait_for("restore", state="failed")
    assert sandbox.health("drill") == {"corrupt": names[::-1]}
    assert sandbox.terminate() == ENDED
    assert sandbox.gt_commands() == []


def test_a_pointer_that_says_nothing_is_named(
    sandbox: Sandbox,
    bucket: Bucket,
    town: Path,
) -> None:
    [snapshot] = back_up(bucket, town)
    bucket.put("latest.json", b"nonsense")
    drill(sandbox)
    sandbox.wait_for("restore", state="done", snapshot=snapshot)
    assert sandbox.health("drill") == {"corrupt": ["latest.json"]}


def test_r2_that_is_away_proves_nothing(sandbox: Sandbox) -> None:
    drill(sandbox, R2_ENDPOINT="http://127.0.0.1:1")
    sandbox.wait_for("restore", state="running")
    assert sandbox.health("drill") == {"corrupt": []}


@pytest.mark.parametrize("drills", ["0", ""])
def test_without_it_a_sandbox_is_what_it_was(
    sandbox: Sandbox,
    bucket: Bucket,
    town: Path,
    drills: str,
) -> None:
    back_up(bucket, town)
    sandbox.start(DRILL=drills)
    sandbox.wait_for_backup()
    assert "drill" not in sandbox.ask("GET", "/health")[1]
    assert sandbox.gt_commands() == ["up"]


def test_no_town_is_made_where_r2_has_none(sandbox: Sandbox) -> None:
    """litestream #1164: what restored nothing must not pass for a restore."""
    drill(sandbox)
    sandbox.wait_for("restore", state="running")
    assert sandbox.terminate() == ENDED
    assert sandbox.gt_commands() == []


def test_a_senseless_value_is_named(sandbox: Sandbox) -> None:
    """DRILL=yes, taken for no, would let agents loose."""
    done = subprocess.run(
        [sys.executable, "-m", "sandbox"],
        env={**sandbox.environment, "DRILL": "yes"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "DRILL must be 0 or 1, not 'yes'" in done.stderr
