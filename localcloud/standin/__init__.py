"""Stands in for `gt` where it is not installed: leaves the traces that the real one does.

Started once for every command of every town, so its modules import little.
"""
