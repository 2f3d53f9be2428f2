"""Where a town's facts come from: one file a source (the last table of sandbox.md).

Every function answers None for what is unknown, never zero.
"""
