"""How far the operation under way is."""

from datetime import timedelta

import pytest

from tests.factories import NOW
from towns.flows.stop import FLOW
from towns.models import Operation
from towns.town_page.under_way import progress
from towns.words import OperationKind

SECONDS = timedelta(seconds=1)
OF = len(FLOW.steps)


def told(**fields: object) -> str:
    values = {"kind": OperationKind.STOP, "step": "await_snapshot", "due_at": NOW + 8 * SECONDS}
    return progress(Operation(**{**values, **fields}), NOW).told(NOW)


def test_it_works() -> None:
    assert told(message="The sandbox is backing up.", deadline_at=NOW + 300 * SECONDS) == (
        f"Stop, step 3 of {OF}: await snapshot. The sandbox is backing up. "
        "The next look in 8 s. Its time ends in 5 min."
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"attempt": 2, "message": "no answer"}, "failed 2x, last: no answer. Try 3 in 8 s."),
        ({"due_at": NOW}, "The next look as soon as a worker is free."),
        ({"lease_until": NOW + SECONDS}, "await snapshot. A worker is at it now."),
        ({"deadline_at": NOW}, "Its time is over."),
        ({"step": "of_old"}, "Stop: of old."),
        (
            {
                "kind": OperationKind.RESTORE,
                "step": "undo_volume",
                "undoing": "no room",
                "message": "no room",
            },
            "Restore, cleaning up, step 2 of 3: undo volume. The next look in 8 s.",
        ),
    ],
)
def test_what_it_tells(fields: dict[str, object], text: str) -> None:
    assert text in told(**fields)
