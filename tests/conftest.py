"""Each test begins with nothing kept. Hypothesis searches by chance, with the shortest example in
full, and no stop-watch."""

import pytest
from django.core.cache import cache
from hypothesis import Phase, settings

settings.register_profile(
    "gastown",
    derandomize=False,
    print_blob=True,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),  # explaining is slow
)
settings.load_profile("gastown")


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    """Some figures are kept for some seconds, for all who look."""
    cache.clear()
