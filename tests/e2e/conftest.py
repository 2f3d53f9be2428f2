"""One installation for all end-to-end tests of a process."""

from collections.abc import Iterator

import pytest

from tests.e2e.installation import Installation, installation


@pytest.fixture(scope="session")
def ops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A whole Gastown Ops on a local cloud."""
    with installation(tmp_path_factory.mktemp("ops")) as found:
        yield found
