"""The simulation: the real models, policy, flows and sweeps against a simulated world, for days.

`plan` makes a history of troubles from a seed, `simulation` lives through it in virtual time,
`checker` holds the invariants of product.md section 4 to it, `shrink` finds the shortest history
that still fails. `python -m tests.simulation --help`, or `make simulate` and `make soak`.
"""
