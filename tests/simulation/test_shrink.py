"""The shortest history: events that matter stay, all others go."""

from .checker import Violation
from .plan import Plan, make_plan
from .shrink import shrink

PLAN = make_plan(3, towns=4, hours=2, busy=4)


def test_it_keeps_just_what_is_needed() -> None:
    first, second = PLAN.events[3], PLAN.events[11]

    def run(plan: Plan) -> Violation | None:
        if first in plan.events and second in plan.events:
            return Violation(4, "stopped")
        return None

    kept, last = shrink(PLAN, Violation(4, "stopped at first"), run=run)
    assert kept == [3, 11]
    assert str(last) == "invariant 4: stopped"


def test_another_violation_is_no_shorter_history_of_this_one() -> None:
    def run(plan: Plan) -> Violation | None:
        return Violation(10, "something else") if len(plan.events) < 20 else Violation(4, "it")

    kept, _ = shrink(PLAN, Violation(4, "it"), run=run)
    assert len(kept) == 20


def test_it_gives_up_after_so_many_tries() -> None:
    runs = []

    def run(plan: Plan) -> Violation | None:
        runs.append(plan)
        return None

    kept, _ = shrink(PLAN, Violation(4, "it"), tries=5, run=run)
    assert len(runs) == 5
    assert len(kept) == len(PLAN.events)
