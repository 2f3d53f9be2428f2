"""Signs of use from several processes, each of which knows only what it read or wrote itself."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.factories import NOW, make_town
from towns import interactions
from towns.models import Town
from towns.words import InteractionKind

COALESCE = timedelta(seconds=30)
CLOCKS = ("last_interaction_at", "websocket_message_at", "websocket_seen_at")
INTERACTION, MESSAGE, SEEN = CLOCKS
processes = st.integers(0, 2)
seconds = st.floats(0, 45).map(lambda n: timedelta(seconds=round(n, 3)))
held_up = st.one_of(st.just(timedelta(0)), seconds)
"""How long ago a process looked at its clock: it waited for a lock, or its host's clock is slow."""


class Touches(RuleBasedStateMachine):
    """One town, and what three processes keep in hand of it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.pk = make_town(last_interaction_at=None).pk
        self.rows = [Town.objects.get(pk=self.pk) for _ in range(3)]
        self.due: list[datetime | None] = [None] * 3
        """As `towns.live.socket` remembers it."""
        self.said: dict[str, datetime] = {}
        """The latest of each clock's signs."""
        self.before: dict[str, Any] = self.stored()

    def stored(self) -> dict[str, Any]:
        stored: dict[str, Any] = Town.objects.values(*CLOCKS).get(pk=self.pk)
        return stored

    @rule(time=seconds)
    def time_passes(self, time: timedelta) -> None:
        self.now += time

    @rule(process=processes)
    def it_reads(self, process: int) -> None:
        self.rows[process] = Town.objects.get(pk=self.pk)

    @rule(process=processes, late=held_up)
    def it_touches(self, process: int, late: timedelta) -> None:
        now, before = self.now - late, self.stored()
        wrote = interactions.touch(self.rows[process], kind=InteractionKind.API, now=now)
        self.hear(now, INTERACTION)
        assert not wrote or stale(before[INTERACTION], now), "a second write within 30 s"
        self.look(wrote, before)

    @rule(process=processes, late=held_up)
    def it_sees_a_websocket(self, process: int, late: timedelta) -> None:
        now, before = self.now - late, self.stored()
        wrote = interactions.websocket_seen(self.rows[process], now)
        self.hear(now, SEEN)
        assert not wrote or stale(before[SEEN], now), "a second write within 30 s"
        self.look(wrote, before)

    @rule(process=processes, late=held_up)
    def it_gets_a_message(self, process: int, late: timedelta) -> None:
        now, before = self.now - late, self.stored()
        due = self.due[process]
        wrote = False
        if due is None or now >= due:
            self.rows[process] = Town.objects.get(pk=self.pk)
            wrote = interactions.websocket_message(self.rows[process], now)
            self.due[process] = interactions.message_due_at(self.rows[process])
        self.hear(now, INTERACTION, MESSAGE)
        assert not wrote or stale(before[INTERACTION], now) or stale(before[MESSAGE], now)
        self.look(wrote, before)

    def hear(self, now: datetime, *clocks: str) -> None:
        for clock in clocks:
            self.said[clock] = max(now, self.said.get(clock, now))

    def look(self, wrote: bool, before: dict[str, Any]) -> None:
        after = self.stored()
        assert wrote or after == before, "something was written and nothing told"
        for clock in CLOCKS:
            assert before[clock] is None or after[clock] >= before[clock], "it went back"

    @invariant()
    def what_is_stored_is_never_far_behind(self) -> None:
        stored = self.stored()
        for clock, said in self.said.items():
            assert stored[clock] is not None, "it was never written"
            assert said - stored[clock] < COALESCE, f"{clock} is too old"

    @invariant()
    def no_process_believes_it_is_newer(self) -> None:
        stored = self.stored()
        for row in self.rows:
            for clock in CLOCKS:
                known = getattr(row, clock)
                assert known is None or known <= stored[clock]


def stale(clock: datetime | None, now: datetime) -> bool:
    return clock is None or now - clock >= COALESCE


@pytest.mark.django_db
def test_whatever_processes_say_costs_one_write_in_30_seconds_and_is_known_to_30_seconds() -> None:
    run_state_machine_as_test(Touches, settings=settings(max_examples=60, stateful_step_count=30))
