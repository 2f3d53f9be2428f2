"""Pages that keep themselves up to date."""

REFRESH_HEADER = "X-Refresh"
"""Sent by `refresh.js`: the page asks by itself, nobody came anew."""
