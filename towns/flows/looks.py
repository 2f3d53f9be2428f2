"""How often a step looks again at what it waits for. Pure."""

LONGEST_SECONDS = 10.0
"""Between two looks, however long it has waited, unless there are very many that wait."""
LOOKS_PER_SECOND = 250.0
"""Of one driver: a look costs some 2 ms of CPU, and half a core is left to new steps."""


def patience(waited: float, *, least: float = 0.0) -> float:
    """Seconds until the next look, after so many seconds of waiting: a tenth of them, and no fewer
    than `least`.

    A machine that boots in 5 s is seen at once; one that takes minutes isn't asked for each second.
    """
    return max(min(max(0.0, waited) / 10, LONGEST_SECONDS), least)


def least_wait(operations: int, drivers: int) -> float:
    """Seconds between two looks at an operation with which so many drivers keep up with so many
    operations, and none is looked at late: a thousand are each asked for every other second."""
    return operations / (LOOKS_PER_SECOND * max(1, drivers))
