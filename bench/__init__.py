"""Benchmarks: what a sweep and a thousand starts cost. `make bench` runs them."""
