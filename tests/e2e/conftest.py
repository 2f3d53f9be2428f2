"""One installation for all end-to-end tests of a process, and one for those that kill workers."""

from collections.abc import Iterator

import pytest

from tests.e2e.crash_place import SYNC_SECONDS, Pair, Place, drawn_slice
from tests.e2e.installation import Installation, installation


@pytest.fixture(scope="session")
def ops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A whole Gastown Ops on a local cloud."""
    with installation(tmp_path_factory.mktemp("ops")) as found:
        yield found


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Where workers are killed. Towns back up by themselves only once in a while."""
    folder = tmp_path_factory.mktemp("crash")
    with installation(folder, GASTOWN_SYNC_INTERVAL_SECONDS=str(SYNC_SECONDS)) as ops:
        yield Place(ops, drawn_slice())


@pytest.fixture
def towns(place: Place) -> Pair:
    """Two towns that run with their work: those of the test before, if it left them so."""
    return place.two_running_towns()
