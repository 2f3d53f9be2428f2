"""The plan of a town in a few lines."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.factories import NOW
from towns.town_page.plan import plan
from towns.why import Answer, Held, Next

SOON = NOW + timedelta(minutes=12)
NOTHING = Answer("ann/a", "", "running", NOW, "", "running", None, (), (), (), ())


def lines(*ahead: Next, held: tuple[Held, ...] = ()) -> list[str]:
    return plan(replace(NOTHING, next=ahead, held=held), NOW)


def test_it_works() -> None:
    found = lines(
        Next("health_check", "The next health check.", NOW + timedelta(minutes=2)),
        Next("idle_stop", "Stopped for being idle.", SOON),
        held=(Held("hold", "staff hold it: a look", SOON), Held("polecats", "at work: 2")),
    )
    assert found == [
        "Stops in 12 min if nobody comes and nothing works in it.",
        "Next probe in 2 min.",
        "Held back (ends in 12 min): staff hold it: a look",
    ]


@pytest.mark.parametrize(
    ("what", "at", "text"),
    [
        ("restart", SOON, "Restarts in 12 min if it still fails."),
        ("error", SOON, "Goes to error in 12 min if it still fails."),
        ("backup_expires", SOON, "Can be restored; its backup is gone in 12 min."),
        ("idle_stop", NOW, "Stops at the next sweep if nobody comes and nothing works in it."),
        ("idle_stop", None, "As why tells it."),
        ("wake", None, "As why tells it."),
        ("not_restarted", SOON, "As why tells it."),
    ],
)
def test_what_it_tells(what: str, at: datetime | None, text: str) -> None:
    assert lines(Next(what, "As why tells it.", at)) == [text]


def test_what_is_no_news_is_left_to_why() -> None:
    assert lines(Next("unhealthy", "Unhealthy, if its checks fail until then.", SOON)) == []
