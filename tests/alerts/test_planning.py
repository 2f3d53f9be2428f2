"""What is told when, and what together. Pure: no database, no clock."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.factories import NOW
from towns.alerts.planning import (
    NEVER_TOLD,
    OVER,
    OVER_IN_DOUBT,
    Line,
    Opening,
    Plan,
    Rules,
    Waiting,
    back_off,
    plan,
)

RULES = Rules(digest_over=5, window=timedelta(minutes=2), pause=timedelta(minutes=10), attempts=10)
OPS = "ops@example.test"
ONE = Waiting(
    pk=0,
    alert=0,
    news="opened",
    channel="email",
    recipient=OPS,
    audience="staff",
    due_at=NOW,
    attempts=0,
    in_doubt=False,
    message_id=None,
    digest="",
    cause="restart_failed",
    severity="critical",
    is_resolved=False,
    town=UUID(int=1),
    owner=1,
    region="ams",
    image="registry.test/town:41",
)


def many(count: int, start: int = 1, **fields: Any) -> list[Waiting]:
    """So many deliveries, each of another alert of another town."""
    return [
        replace(ONE, pk=number, alert=number, town=UUID(int=number), **fields)
        for number in range(start, start + count)
    ]


def planned(waiting: list[Waiting], now: datetime = NOW, **known: Any) -> Plan:
    return plan(waiting, now=now, rules=RULES, **{"digests": {}, "down": [], **known})


def sizes(made: Plan) -> list[int]:
    return [len(message.deliveries) for message in made.messages]


def line(topic: str = "cause:restart_failed", news: str = "opened") -> Line:
    return Line("email", OPS, news, topic)


@pytest.mark.parametrize(("count", "expected"), [(1, [1]), (5, [1] * 5), (6, [6]), (300, [300])])
def test_many_of_one_cause_are_one_digest(count: int, expected: list[int]) -> None:
    made = planned(many(count))
    assert sizes(made) == expected
    digest = "cause:restart_failed" if count > 5 else ""
    assert {message.digest for message in made.messages} == {digest}


def test_one_that_is_due_takes_those_along_that_wait_still() -> None:
    waiting = [*many(1), *many(5, 2, due_at=NOW + timedelta(seconds=30))]
    assert sizes(planned(waiting)) == [6]
    assert planned(waiting[1:]).messages == []


def test_each_recipient_channel_and_cause_has_its_own() -> None:
    waiting = [
        *many(6),
        *many(6, 7, channel="webhook"),
        *many(6, 13, recipient="more@example.test"),
        *many(6, 19, cause="disk_warning"),
    ]
    assert sizes(planned(waiting)) == [6] * 4


def test_owners_are_told_of_their_own_towns_alone() -> None:
    mine = many(6, audience="owner", recipient="shared@example.test", owner=1)
    others = many(2, 7, audience="owner", recipient="shared@example.test", owner=2)
    made = planned([*mine, *others])
    assert sorted(sizes(made)) == [1, 1, 6]
    for message in made.messages:
        assert len({one.owner for one in message.deliveries}) == 1


def test_after_a_digest_its_cause_is_quiet_for_a_while_and_then_told_in_one_more() -> None:
    digests = {line(): NOW}
    late = many(2, due_at=NOW + timedelta(minutes=1))
    assert planned(late, NOW + timedelta(minutes=9), digests=digests).messages == []
    assert sizes(planned(late, NOW + timedelta(minutes=10), digests=digests)) == [2]
    assert sizes(planned(late, NOW + timedelta(minutes=20), digests=digests)) == [1, 1]


def test_a_storm_of_an_hour_is_a_handful_of_messages() -> None:
    """Ten towns more each minute, and each is told once."""
    waiting: list[Waiting] = []
    digests: dict[Line, datetime] = {}
    told: list[int] = []
    messages = 0
    for minute in range(75):
        now = NOW + timedelta(minutes=minute)
        if minute < 60:
            waiting += many(10, 1 + 10 * minute, due_at=now + timedelta(seconds=30))
        made = planned(waiting, now, digests=digests)
        for message in made.messages:
            messages += 1
            told += [one.pk for one in message.deliveries]
            digests[line()] = now
        waiting = [one for one in waiting if one.pk not in set(told)]
    assert sorted(told) == list(range(1, 601))
    assert messages <= 8


def test_a_canary_of_calm_the_alert_of_the_fleet_is_never_held_back() -> None:
    fleet = replace(ONE, pk=99, alert=99, town=None, cause="platform_down")
    made = planned([*many(300), fleet], digests={line("cause:platform_down"): NOW})
    assert made.messages[0].deliveries == (fleet,), "and it comes first"
    assert sizes(made) == [1, 300]


@pytest.mark.parametrize("scope", ["fleet", "region:ams", "image:registry.test/town:41"])
def test_while_the_platform_is_down_all_causes_under_it_are_one(scope: str) -> None:
    waiting = [*many(1), *many(1, 2, cause="start_failed"), *many(1, 3, region="iad", image="x")]
    made = planned(waiting, down=[scope])
    together, *others = sorted(made.messages, key=lambda one: one.digest, reverse=True)
    assert together.digest == f"under:{scope}"
    assert len(together.deliveries) == (3 if scope == "fleet" else 2)
    assert [one.digest for one in others] == ([] if scope == "fleet" else [""])


def test_what_was_opened_in_a_digest_is_resolved_in_one() -> None:
    opening = Opening(told=True, under_way=False, digest="cause:restart_failed")
    made = planned(many(3, news="resolved", is_resolved=True, opening=opening))
    assert [(one.digest, len(one.deliveries)) for one in made.messages] == [
        ("cause:restart_failed", 3)
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"is_resolved": True}, OVER),
        ({"is_resolved": True, "in_doubt": True, "attempts": 1}, OVER_IN_DOUBT),
        ({"news": "resolved", "is_resolved": True, "opening": None}, NEVER_TOLD),
        (
            {
                "news": "resolved",
                "is_resolved": True,
                "opening": Opening(told=False, under_way=False, digest=""),
            },
            NEVER_TOLD,
        ),
    ],
)
def test_coder_20944_what_is_no_news_any_more_is_dropped(
    fields: dict[str, Any], reason: str
) -> None:
    made = planned(many(1, **fields))
    assert (made.messages, dict(made.dropped)) == ([], {reason: [1]})


def test_the_end_waits_while_the_beginning_is_being_told() -> None:
    opening = Opening(told=False, under_way=True, digest="")
    made = planned(many(1, news="resolved", is_resolved=True, opening=opening))
    assert (made.messages, dict(made.dropped)) == ([], {})


def test_a_message_that_failed_is_tried_again_as_it_was_put_together() -> None:
    message = uuid4()
    first = many(7, message_id=message, attempts=1, digest="cause:restart_failed")
    made = planned([*first, *many(2, 8)], digests={line(): NOW - timedelta(minutes=1)})
    assert [(one.message_id, len(one.deliveries)) for one in made.messages] == [(message, 7)]


def test_one_that_had_all_its_tries_is_told_no_more() -> None:
    made = planned(many(1, message_id=uuid4(), attempts=10, in_doubt=True))
    assert (made.messages, made.spent) == ([], [1])


def test_back_off_grows_and_has_an_end() -> None:
    minutes = [back_off(attempts).total_seconds() / 60 for attempts in range(1, 8)]
    assert minutes == [1, 5, 15, 60, 360, 360, 360]


def test_the_critical_come_before_warnings_and_staff_before_owners() -> None:
    waiting = [
        *many(1, severity="warning", cause="a"),
        *many(1, 2, audience="owner", recipient="ann@example.test"),
        *many(1, 3),
    ]
    order = [message.deliveries[0].pk for message in planned(waiting).messages]
    assert order == [3, 2, 1]
