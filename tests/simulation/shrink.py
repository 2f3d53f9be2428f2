"""The shortest history that still breaks the same invariant: delta debugging over its events."""

from collections.abc import Callable

from .checker import Violation
from .plan import Plan

Run = Callable[[Plan], Violation | None]


def shrink(
    plan: Plan, violation: Violation, run: Run, *, tries: int = 300
) -> tuple[list[int], Violation]:
    """Numbers of the events that suffice, and what they come to, after at most so many `tries`.

    Follows Zeller's ddmin: leave out ever smaller parts for as long as it still fails likewise.
    """
    kept, last = list(range(len(plan.events))), violation
    parts = 2
    while len(kept) >= 1 and tries > 0:
        size = max(1, len(kept) // parts)
        for begin in range(0, len(kept), size):
            fewer = kept[:begin] + kept[begin + size :]
            tries -= 1
            found = run(plan.only(fewer))
            if found is not None and found.invariant == violation.invariant:
                kept, last, parts = fewer, found, max(2, parts - 1)
                break
            if tries <= 0:
                break
        else:
            if size == 1:
                break
            parts = min(len(kept), parts * 2)
    return kept, last


def shortest_history(plan: Plan, violation: Violation, run: Run) -> str:
    """The shortest history that breaks the same invariant, as text, and how to replay it."""
    kept, last = shrink(plan, violation, run)
    numbers = ",".join(map(str, kept))
    found = f"the shortest history of seed {plan.seed} found: {len(kept)} of {len(plan.events)}"
    return "\n".join(
        (
            f"{found} events",
            *(f"  {number:4} {plan.events[number]}" for number in kept),
            f"  {last}",
            f"replay: python -m tests.simulation --first {plan.seed} --towns {plan.towns} "
            f"--hours {plan.hours:g} --busy {plan.busy:g} --only '{numbers}'",
        )
    )
