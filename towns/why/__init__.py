"""`why`: what a town is, by which rule, what holds it, and what happens next and at what time.

Told by the code that decides: the sweeps and flows ask the same functions. `gather` reads the facts
in a fixed number of statements; `explain` is pure.
"""

from datetime import datetime

from towns.models import Town
from towns.why.answer import Answer, Held, Next, Rule
from towns.why.explaining import explain
from towns.why.facts import Facts, gather

__all__ = ["Answer", "Facts", "Held", "Next", "Rule", "explain", "gather", "why"]


def why(town: Town, now: datetime) -> Answer:
    """The answer for one town. Reads only."""
    return explain(gather(town, now), now)
