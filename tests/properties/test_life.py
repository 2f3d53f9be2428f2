"""One town's life under random events: what is decided of it is what the spec says, at any time.

The decisions are the real ones, on rows that are in no database; `life` is the spec.
"""

from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.factories import NOW
from tests.properties.life import MINUTE, Span
from tests.properties.living import SCOPES, Living, ends, minutes
from towns.facts import idle_facts
from towns.models import Breaker, Freeze, MaintenanceWindow
from towns.policy import idle_stop_at
from towns.rules import idle_rules
from towns.standing import Standing
from towns.sweeps.idle import decide

SECOND = timedelta(seconds=1)


class OneLife(Living):
    """A town that lives, and from which automation is held back at times."""

    # What holds automation back

    @rule(time=ends, lifted=st.booleans())
    def staff_hold_it(self, time: timedelta | None, lifted: bool) -> None:
        until = None if time is None else self.now + time
        self.town.hold_reason, self.town.hold_until = "" if lifted else "look at it", until
        self.life.hold = None if lifted else Span(datetime.min.replace(tzinfo=NOW.tzinfo), until)

    @rule(time=ends, lifted=st.booleans())
    def automation_is_frozen(self, time: timedelta | None, lifted: bool) -> None:
        until = None if time is None else self.now + time
        freeze = Freeze(scope="all", reason="a storm", actor="ann", since=self.now, until=until)
        self.halts["freeze"] = None if lifted else freeze
        span = Span(datetime.min.replace(tzinfo=NOW.tzinfo), until)
        self.life.freeze = None if lifted else span

    @rule(ahead=st.integers(0, 30), time=minutes, mine=st.booleans(), data=st.data())
    def maintenance_is_planned(
        self, ahead: int, time: timedelta, mine: bool, data: st.DataObject
    ) -> None:
        scopes = (*SCOPES, f"town:{self.town.pk}") if mine else ("region:ams", "image:another")
        since = self.now + ahead * MINUTE
        window = MaintenanceWindow(
            scope=data.draw(st.sampled_from(scopes), label="scope"),
            since=since,
            until=since + time,
            reason="new disks",
        )
        self.halts["windows"] = (*self.halts["windows"], window)
        if mine:
            self.life.windows.append(Span(since, since + time))

    @rule(scope=st.sampled_from([*SCOPES, "region:ams"]), opens=st.booleans())
    def the_platform_is_down(self, scope: str, opens: bool) -> None:
        breakers: dict[str, Breaker] = self.halts["breakers"]
        if opens:
            breakers[scope] = Breaker(scope=scope, state="open", reason="61 % of it newly fail.")
        else:
            breakers.pop(scope, None)
        self.life.breakers = set(breakers) & set(SCOPES)

    @precondition(lambda self: self.restarting is None and self.is_active())
    @rule(hours=st.integers(1, 9), then=st.sampled_from(["", "freeze", "breaker"]))
    def it_is_left_alone(self, hours: int, then: str) -> None:
        """Well, and without work or visitors, as long as something does not begin just now."""
        self.now += timedelta(hours=hours)
        self.it_is_well(0, 0)
        if then == "freeze":
            self.automation_is_frozen(None, lifted=False)
        elif then == "breaker":
            self.the_platform_is_down("region:iad", opens=True)

    # What always holds

    @invariant()
    def failures_and_episodes_are_counted_right(self) -> None:
        town, life = self.town, self.life
        assert town.last_result == life.last_result(), "the last check is what it shows"
        if self.restarting is not None or town.status == "error":
            return
        assert town.consecutive_failures == life.failures()
        assert town.status == ("unhealthy" if life.failures() >= 3 else "running")
        assert (town.episode_since is not None) == life.is_failing()
        if life.is_failing():
            assert town.episode_since == life.episodes[-1][0]
            assert town.failure_kind
            assert town.failure_reason

    @invariant()
    def it_is_idle_exactly_by_the_rule(self) -> None:
        standing, life = Standing(**self.halts), self.life
        decision = decide(self.town, self.now, idle_rules(), standing)
        held = life.awake_because(self.now)
        assert set(decision.held) == held
        assert decision.stops == (not held and not life.held_back(self.now))
        assert decision.stops or decision.held or decision.why
        assert (decision.held_back is not None) == (not held and life.held_back(self.now))

    @invariant()
    def its_planned_stop_comes_true(self) -> None:
        """If nothing changes but the health checks go on, it is held until then and no longer."""
        facts = idle_facts(self.town)
        at = idle_stop_at(facts, self.now, idle_rules())
        endless = self.life.awake_because(self.now) - {"interaction", "keep_awake"}
        if self.life.hold is not None and self.life.hold.until is not None:
            endless -= {"hold"}
        assert (at is None) == bool(endless)
        if at is None:
            return
        for moment in (at - SECOND, at):
            held = self.life.awake_because(moment) - {"unknown_health", "connection"}
            assert bool(held) == (moment < at), f"at {moment}, planned for {at}"

    @invariant()
    def what_holds_automation_back_ends_when_it_says(self) -> None:
        standing = Standing(**self.halts)
        free = standing.free_from(self.town, self.now)
        assert bool(standing.held_back(self.town, self.now)) == self.life.held_back(self.now)
        assert all(one.why for one in standing.held_back(self.town, self.now))
        if free is None:
            later = self.now + timedelta(days=365)
            assert self.life.held_back(later), "something has no end"
            return
        assert not self.life.held_back(free)
        assert free == self.now or self.life.held_back(free - SECOND)


@pytest.mark.timeout(400)
def test_one_life() -> None:
    run_state_machine_as_test(OneLife, settings=settings(max_examples=400, stateful_step_count=40))
