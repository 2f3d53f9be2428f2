"""A full disk: no new backup, one clear line that says why, and the last good one is untouched."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from sandbox import archive
from sandbox.agent import Agent
from sandbox.gt import Gt
from sandbox.settings import read_settings

from .world import Bucket


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def agent(bucket: Bucket, town: Path) -> Agent:
    """The agent of a town that is there."""
    environment = {
        "TOWN_ID": "town-1",
        "GT_HOME": str(town),
        "INTERNAL_API_KEY": "key",
        "R2_ENDPOINT": bucket.settings.endpoint,
        "R2_BUCKET": bucket.settings.bucket,
        "R2_ACCESS_KEY": bucket.settings.access_key,
        "R2_SECRET_KEY": bucket.settings.secret_key,
        "R2_PREFIX": bucket.settings.prefix,
        "GT_VERSION": "1.0.1",
    }
    settings = read_settings(environment)
    return Agent(settings, bucket.store(), Gt(town, 5.0))


def test_it_says_so_and_the_last_good_backup_stays(
    agent: Agent, bucket: Bucket, town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent._sync(lambda: False)
    good, keys = agent.state.backup.snapshot, bucket.all_keys()
    assert good is not None
    monkeypatch.setattr(archive, "write_tar", full)
    agent._sync(lambda: False)
    assert agent.state.backup.snapshot == good
    assert agent.state.backup.last_error is not None
    assert "No space left on device" in agent.state.backup.last_error
    assert len(agent.state.backup.last_error.splitlines()) == 1
    assert bucket.json("latest.json")["timestamp"] == good
    assert set(keys) <= set(bucket.all_keys())
    assert (town / "mayor" / "town.json").is_file()


def test_with_room_again_it_goes_on(
    agent: Agent, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(archive, "write_tar", full)
        agent._sync(lambda: False)
    assert bucket.all_keys() == []
    agent._sync(lambda: False)
    assert agent.state.backup.last_error is None
    assert bucket.json("latest.json")["timestamp"] == agent.state.backup.snapshot
