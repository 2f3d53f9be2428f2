"""How hypothesis searches: by chance, with the shortest example in full, and no stop-watch."""

from hypothesis import Phase, settings

settings.register_profile(
    "gastown",
    derandomize=False,
    print_blob=True,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),  # explaining is slow
)
settings.load_profile("gastown")
