"""`python -m tests.simulation`: search seeds for a violated invariant; replay one that failed."""

from tests.simulation.command import main

if __name__ == "__main__":
    raise SystemExit(main())
