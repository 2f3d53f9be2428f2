"""One thing done to many towns: a preview, a canary, a pace, a stop at the first failures."""
