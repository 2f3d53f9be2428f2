"""One town's life: random checks, restarts, visitors and clocks.

The decisions are the real ones, on rows that are in no database; `life` is the spec.
"""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.factories import NOW
from tests.properties.life import MINUTE, Checked, Life, Restarted
from tests.sweeps.fakes import answer, good_report, silence
from towns.models import HealthCheck, Town
from towns.policy import PastRestart, judge
from towns.probe import Probe, ProbeProblem
from towns.rules import flapping_rules, health_rules
from towns.standing import Standing
from towns.sweeps.flaps import Flaps, flapping_of
from towns.sweeps.planning import Planner, RestartAction
from towns.sweeps.strikes import ACTOR, apply_check, fill_figures
from towns.words import CheckResult

SECOND = timedelta(seconds=1)
minutes = st.integers(1, 45).map(lambda n: n * MINUTE)
ends = st.none() | minutes
SCOPES = ("fleet", "region:iad", "image:registry.test/town:1")
FAILS = (
    ProbeProblem.TIMEOUT,
    ProbeProblem.REFUSED,
    ProbeProblem.NETWORK,
    ProbeProblem.STATUS,
    ProbeProblem.MALFORMED,
    "daemon",
    "dolt",
    "another",
)


class Living(RuleBasedStateMachine):
    """A town that runs, is checked, restarted, used and left alone."""

    @initialize(timeout=st.sampled_from([5, 30, 480]))
    def it_runs(self, timeout: int) -> None:
        self.now: datetime = NOW
        self.town = Town(
            owner=User(username="ada"),
            name="alpha",
            region="iad",
            image=SCOPES[2].removeprefix("image:"),
            status="running",
            machine_id="m1",
            awake_since=NOW,
            idle_timeout_minutes=timeout,
        )
        self.life = Life(woke=NOW, timeout=timeout * MINUTE)
        self.halts: dict[str, Any] = {"windows": (), "breakers": {}}
        self.restarting: Restarted | None = None

    # Time

    @rule(time=minutes)
    def time_passes(self, time: timedelta) -> None:
        """Also while nobody watches: we were down ourselves."""
        self.now += time

    @rule(seconds=st.integers(-60, 60))
    def a_clock_is_off(self, seconds: int) -> None:
        """Another host decides next."""
        self.now += timedelta(seconds=seconds)

    # Checks

    def _is_checked(self, probe: Probe, expected: Checked, *, online: bool = True) -> None:
        seen = judge(probe, town_id=str(self.town.pk), machine_id="m1", online=online)
        assert seen.result == expected.result, f"{probe} is {seen}"
        assert (seen.kind is None) == (seen.result == "ok")
        assert seen.reason or seen.result == "ok"
        check = HealthCheck(
            town=self.town, checked_at=self.now, result=seen.result, kind=seen.kind or ""
        )
        check.reason = seen.reason
        if probe.report is not None and seen.kind != "wrong_town":
            fill_figures(check, probe.report)
        before = self.town.status
        event = apply_check(
            self.town, check, probe.report, health_rules(), Flaps(ACTOR, self.now), self.now
        )
        to = event.to_status if event is not None else ""
        assert event is None or event.reason
        if to:
            assert event is not None
            assert event.from_status == before
            self.town.status, self.town.status_since = to, self.now
        self.life.checked(expected)

    @precondition(lambda self: self.restarting is None and self.is_active())
    @rule(polecats=st.sampled_from([None, 0, 0, 0, 2]), queue=st.sampled_from([None, 0, 1]))
    def it_is_well(self, polecats: int | None, queue: int | None) -> None:
        report = good_report(
            str(self.town.pk), self.now, polecats_active=polecats, merge_queue=queue
        )
        self._is_checked(answer(report), Checked(self.now, "ok", True, polecats, queue))

    @precondition(lambda self: self.restarting is None and self.is_active())
    @rule(times=st.integers(2, 6), pause=st.integers(1, 32))
    def it_flaps(self, times: int, pause: int) -> None:
        """It fails and heals by turns, by itself."""
        for _ in range(times):
            self.it_fails("daemon", 1)
            self.it_is_well(0, 0)
            self.flapping_is_told_apart()
            self.now += pause * MINUTE

    @precondition(lambda self: self.restarting is None and self.is_active())
    @rule(how=st.sampled_from(FAILS), times=st.integers(1, 4))
    def it_fails(self, how: str, times: int) -> None:
        for _ in range(times):
            town_id = "another" if how == "another" else str(self.town.pk)
            report = good_report(
                town_id, self.now, daemon_running=how != "daemon", dolt_running=how != "dolt"
            )
            probe = silence(how) if isinstance(how, ProbeProblem) else answer(report)
            said = Checked(self.now, "failed", True, polecats=0)
            self._is_checked(
                probe, said if how in ("daemon", "dolt") else Checked(self.now, "failed")
            )
            self.now += 3 * MINUTE

    @precondition(lambda self: self.restarting is None and self.is_active())
    @rule(refused=st.booleans())
    def we_could_not_ask(self, refused: bool) -> None:
        probe = silence(ProbeProblem.FORBIDDEN if refused else ProbeProblem.TIMEOUT)
        self._is_checked(probe, Checked(self.now, "unknown"), online=refused)

    def is_active(self) -> bool:
        return self.town.status in ("running", "unhealthy")

    # Restarts

    def _verdict(self, room: int = 10) -> Any:
        standing = Standing(**self.halts)
        planner = Planner(standing, health_rules(), self.now, room)
        past = [PastRestart(one.at, one.automatic) for one in self.life.restarts]
        return planner.decide(self.town, past)

    @precondition(lambda self: self.town.status == "unhealthy" and self.restarting is None)
    @precondition(lambda self: self.town.last_result == CheckResult.FAILED)
    @rule(room=st.integers(0, 2))
    def the_sweep_decides(self, room: int) -> None:
        verdict = self._verdict(room)
        life = self.life
        if life.held_back(self.now):
            expected = RestartAction.NONE
        elif life.may_not_restart(self.now):
            expected = RestartAction.ERROR
        else:
            expected = RestartAction.RESTART if room else RestartAction.NONE
        assert verdict.action == expected
        assert verdict.why or expected == RestartAction.RESTART, "decisions not to act say why"
        if expected == RestartAction.RESTART:
            self._begins(automatic=True)
        elif expected == RestartAction.ERROR:
            self.town.status = "error"

    @precondition(lambda self: self.restarting is None)
    @rule()
    def staff_restart_it(self) -> None:
        self._begins(automatic=False)

    def _begins(self, *, automatic: bool) -> None:
        self.restarting = Restarted(self.now, automatic)
        self.town.status = "restarting"

    @precondition(lambda self: self.restarting is not None)
    @rule(helps=st.booleans(), seconds=st.integers(5, 120))
    def its_restart_ends(self, helps: bool, seconds: int) -> None:
        assert self.restarting is not None
        self.now += timedelta(seconds=seconds)
        self.life.restarts.append(self.restarting)
        self.restarting = None
        if not helps:
            self.town.status = "error"
            return
        if self.life.is_failing():
            self.town.episode_ended_at = self.now
        self.town.status, self.town.awake_since = "running", self.now
        self.town.consecutive_failures, self.town.episode_since = 0, None
        self.town.failure_kind = self.town.failure_reason = ""
        self.life.woke, self.life.checks = self.now, []
        self.life.ends_episode(self.now)

    @precondition(lambda self: self.restarting is None and self.is_active())
    @rule(
        rounds=st.integers(2, 4),
        helps=st.booleans(),
        pause=st.sampled_from([0, 0, 0, 1, 5, 12]),
        clears=st.booleans(),
        room=st.integers(0, 2),
    )
    def it_fails_again_and_again(
        self, rounds: int, helps: bool, pause: int, clears: bool, room: int
    ) -> None:
        """Restarts help for a while, or people do what the sweep doesn't."""
        for _ in range(rounds):
            self.it_fails("daemon", 3)
            self.the_sweep_decides(2)
            if self.restarting is None:
                self.staff_restart_it()
            self.its_restart_ends(True, 10)
            if helps:
                self.it_is_well(0, 0)
            self.now += pause * MINUTE
        if clears:
            self.staff_clear_its_restarts()
        self.it_fails("daemon", 3)
        self.the_sweep_decides(room)

    @precondition(lambda self: self.restarting is None)
    @rule(times=st.integers(2, 4), pause=st.sampled_from([0, 0, 0, 5, 12, 22]))
    def staff_try_again_and_again(self, times: int, pause: int) -> None:
        for _ in range(times):
            self.staff_restart_it()
            self.its_restart_ends(True, 10)
        self.now += pause * MINUTE
        self.it_fails("dolt", 3)
        self.the_sweep_decides(2)

    @rule()
    def staff_clear_its_restarts(self) -> None:
        self.town.restarts_cleared_at = self.life.cleared = self.now

    # Use

    @rule()
    def its_owner_comes(self) -> None:
        self.life.came.append(self.now)
        self.town.last_interaction_at = max(self.life.came)

    @rule(says=st.booleans())
    def a_websocket_is_open(self, says: bool) -> None:
        self.life.sightings.append(self.now)
        self.town.websocket_seen_at = max(self.life.sightings)
        if says:
            self.life.messages.append(self.now)
            self.town.websocket_message_at = max(self.life.messages)
            self.its_owner_comes()

    @rule(time=st.sampled_from([3, 4, 5]).map(lambda n: timedelta(hours=n)))
    def a_tab_is_forgotten(self, time: timedelta) -> None:
        """It stays open, and goes on saying so."""
        self.a_websocket_is_open(True)
        self.now += time
        self.a_websocket_is_open(False)

    @rule(on=st.booleans())
    def auto_stop_is_set(self, on: bool) -> None:
        self.town.auto_stop = self.life.auto_stop = on

    @rule(time=ends)
    def it_is_kept_awake(self, time: timedelta | None) -> None:
        until = None if time is None else self.now + time
        self.town.keep_awake_until = self.life.awake_until = until

    @invariant()
    def flapping_is_told_apart(self) -> None:
        known = flapping_of(self.town)
        assert (known.since is not None) == self.life.flaps()
        assert flapping_rules().episodes == 4
