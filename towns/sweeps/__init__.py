"""Sweeps: one pass over all towns that are due: find, probe, decide, record, request."""
