"""When the platform is down, not the town: the breakers and the pace of restarts (product.md 1.1).

A small fleet in which random towns break and heal; real sweeps on real rows.
"""

from collections.abc import Iterable
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import override_settings
from hypothesis import HealthCheck as Health
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.factories import NOW, make_town, make_user
from tests.properties.asking import ANN
from tests.properties.driving import FAULT, Script, claim, scripted
from tests.sweeps.fakes import FakeFleet
from towns import actions
from towns.flows.engine import run_claimed
from towns.models import Alert, Breaker, Operation, Town
from towns.sweeps.health import sweep_fleet
from towns.sweeps.idle import sweep_idle

LEAST, SHARE, AT_ONCE, STRIKES = 3, 0.4, 2, 3
PATIENCE = timedelta(minutes=12)
PERIOD = timedelta(minutes=3)
SMALL = {
    "GASTOWN_BREAKER_MIN_TOWNS": LEAST,
    "GASTOWN_BREAKER_PERCENT": 40,
    "GASTOWN_RESTARTS_AT_ONCE": AT_ONCE,
    "GASTOWN_BREAKER_PATIENCE_SECONDS": PATIENCE.total_seconds(),
}
PLACES = [("ams", "v1")] * 5 + [("ams", "v2")] * 2 + [("iad", "v1")] * 3
some = st.sets(st.integers(0, len(PLACES) - 1), min_size=1)


class Fleet(RuleBasedStateMachine):
    """Ten towns in two regions with two images; the first one has been idle for hours."""

    def __init__(self) -> None:
        super().__init__()
        self.scope = transaction.atomic()
        self.scope.__enter__()
        self.outside = FakeFleet()
        owner = make_user()
        self.towns = [
            make_town(owner=owner, region=region, image=image, auto_stop=number == 0)
            for number, (region, image) in enumerate(PLACES)
        ]
        Town.objects.update(last_interaction_at=NOW - timedelta(hours=9), awake_since=None)
        self.broken: set[int] = set()
        self.failures = [0] * len(PLACES)
        """In a row, by what was true when it was asked."""

    def teardown(self) -> None:
        try:
            self.all_is_mended()
        finally:
            transaction.set_rollback(True)
            self.scope.__exit__(None, None, None)

    # What happens outside

    @rule(which=some, sweeps=st.integers(0, 7), ends=st.booleans())
    def many_break_at_once(self, which: set[int], sweeps: int, ends: bool) -> None:
        self._break(which)
        self.the_sweeps_go_on(sweeps, ends)

    @rule(which=some, sweeps=st.integers(0, 3))
    def they_break_one_after_another(self, which: set[int], sweeps: int) -> None:
        for number in sorted(which):
            self._break({number})
            self.the_sweeps_go_on(1, False)
        self.the_sweeps_go_on(sweeps, False)

    def _break(self, which: set[int]) -> None:
        self.broken |= which
        for number in which:
            self.outside.break_town(self.towns[number])

    @rule(which=some, sweeps=st.integers(0, 3), ends=st.booleans())
    def towns_heal(self, which: set[int], sweeps: int, ends: bool) -> None:
        self.broken -= which
        for number in which:
            self.outside.mend_town(self.towns[number])
        self.the_sweeps_go_on(sweeps, ends)

    @rule(answers=st.booleans())
    def fly_comes_and_goes(self, answers: bool) -> None:
        self.outside.fly.up = answers

    # What we do

    def the_sweeps_go_on(self, times: int, ends: bool) -> None:
        for _ in range(times):
            self._sweep()
            if ends:
                self.restarts_end()

    def _sweep(self) -> None:
        self.outside.clock.moment += PERIOD
        now = self.outside.clock.moment
        rows = self._rows()
        busy = self._restarting()
        probed = [n for n, t in rows.items() if t.status in ("running", "unhealthy")]
        probed = [n for n in probed if n not in busy]
        failing = [n for n in probed if n in self.broken]
        newly = [n for n in failing if not self.failures[n]]
        before = {one.scope: one for one in Breaker.objects.select_related("canary")}
        for number in probed:
            self.failures[number] = self.failures[number] + 1 if number in self.broken else 0
        sweep_fleet(now, self.outside.services)
        begun = self._restarting() - busy
        standing = set(Breaker.objects.values_list("scope", flat=True))
        fly_down = not self.outside.fly.up and (bool(failing) or "fleet" in before)

        assert not (fly_down and begun), "Fly does not answer: nothing is restarted"
        assert all(self.failures[n] >= STRIKES for n in begun), "three strikes"
        for scope in {"fleet", "region:ams", "region:iad", "image:v1", "image:v2"}:
            here = self._in(scope)
            down = self._is_mass(newly, probed, here) or (fly_down and scope == "fleet")
            if down:
                assert scope in standing, f"{newly} of {probed} newly fail: {scope} is down"
                assert not begun & here
            elif scope not in before:
                assert scope not in standing, f"{scope} is well enough"
                continue
            elif scope not in standing:
                canary = before[scope].canary
                healed = canary is not None and canary.state == "succeeded"
                assert healed or not here & set(failing), f"{scope} still fails"
                continue
            self._holds_back(scope, here, begun, before, failing, probed)
        if self.outside.fly.up and len(busy) < AT_ONCE:
            patient = {
                scope
                for scope in standing
                if scope not in before
                or before[scope].canary is not None
                or now - before[scope].opened_at < PATIENCE
                or self._is_mass(newly, probed, self._in(scope))
            }
            due = {n for n in failing if self.failures[n] >= STRIKES}
            due -= {n for scope in patient for n in self._in(scope)}
            due -= {n for n, t in self._rows().items() if t.status == "error"}
            assert begun or not due, f"nobody was let out, although {due} have waited long enough"
        self._says_why_not()

    def _holds_back(
        self,
        scope: str,
        here: set[int],
        begun: set[int],
        before: dict[str, Breaker],
        failing: list[int],
        probed: list[int],
    ) -> None:
        """Under an open breaker one canary at a time is restarted, when the share of failing towns
        is below the line, or has not got there for a while."""
        assert len(begun & here) <= 1, f"one canary for {scope}, not {begun & here}"
        if not begun & here:
            return
        opened = before[scope]
        waited = self.outside.clock.moment - opened.opened_at
        assert not self._is_mass(failing, probed, here) or waited >= PATIENCE
        canary = opened.canary
        assert canary is None or not canary.is_open, "the last canary is still out"
        assert Breaker.objects.get(scope=scope).canary is not None

    def _says_why_not(self) -> None:
        for town in self._rows().values():
            if town.status == "unhealthy":
                told = town.events.filter(kind="not_restarted", at__gte=town.episode_since)
                assert told.exclude(reason="").exists(), f"{town} is not restarted; nobody says why"

    @rule()
    def restarts_end(self) -> None:
        """With success where the town is mended."""
        for number in self._restarting():
            operation = Operation.objects.get(town=self.towns[number], state="open")
            well = number not in self.broken
            with scripted(Script(None if well else FAULT)):
                run_claimed(claim(operation, "worker"), self.outside.services)
            self.failures[number] = 0 if well else self.failures[number]

    @rule()
    def staff_restart_what_is_in_error(self) -> None:
        for number, town in self._rows().items():
            if town.status == "error" and number not in self.broken:
                now = self.outside.clock.moment
                actions.request_restart(town.pk, actor=ANN, now=now, reason="look again")

    @rule()
    def the_idle_sweep_runs(self) -> None:
        """While a breaker is open nothing under it is stopped for being idle."""
        town = self._rows()[0]
        under = {"fleet", "region:ams", "image:v1"} & set(
            Breaker.objects.values_list("scope", flat=True)
        )
        sweep_idle(self.outside.services, towns=[town])
        stopped = Operation.objects.filter(town=town, kind="stop", state="open").exists()
        if under:
            assert not stopped
        if stopped:
            with scripted(Script()):
                operation = Operation.objects.get(town=town, state="open")
                run_claimed(claim(operation, "worker"), self.outside.services)

    # What always holds

    @invariant()
    def restarts_keep_their_pace(self) -> None:
        """Invariant 9."""
        automatic = Operation.objects.filter(state="open", kind="restart", automatic=True)
        assert automatic.count() <= AT_ONCE

    @invariant()
    def staff_know_of_each_breaker_and_of_no_other(self) -> None:
        alerts = Alert.objects.filter(cause="platform_down", resolved_at=None)
        subjects = list(alerts.values_list("subject", flat=True))
        assert sorted(subjects) == sorted(Breaker.objects.values_list("scope", flat=True))

    def all_is_mended(self) -> None:
        """After the last fault no breaker is left over, and nobody is left unhealthy."""
        self.outside.fly.up = True
        self.towns_heal(set(range(len(PLACES))), 0, False)
        for _ in range(6):
            self._sweep()
            self.restarts_end()
            if not Breaker.objects.exists():
                break
        assert not Breaker.objects.exists()
        self._sweep()
        self.restarts_end()
        self.staff_know_of_each_breaker_and_of_no_other()
        assert {t.status for t in self._rows().values()} <= {"running", "stopped", "error"}

    def _rows(self) -> dict[int, Town]:
        rows = Town.objects.select_related("owner").in_bulk([town.pk for town in self.towns])
        return {number: rows[town.pk] for number, town in enumerate(self.towns)}

    def _restarting(self) -> set[int]:
        open_ones = set(
            Operation.objects.filter(state="open", kind="restart").values_list("town", flat=True)
        )
        return {number for number, town in enumerate(self.towns) if town.pk in open_ones}

    def _in(self, scope: str) -> set[int]:
        return {
            number
            for number, (region, image) in enumerate(PLACES)
            if scope in ("fleet", f"region:{region}", f"image:{image}")
        }

    def _is_mass(self, some: Iterable[int], probed: Iterable[int], here: set[int]) -> bool:
        """At least so many, and at least such a share of those that were probed."""
        count, of = len(here & set(some)), len(here & set(probed))
        return count >= LEAST and count >= SHARE * of


@pytest.mark.timeout(400)
def test_a_fleet(db: None) -> None:
    with override_settings(**SMALL):
        run_state_machine_as_test(
            Fleet,
            settings=settings(
                max_examples=12,
                stateful_step_count=6,
                suppress_health_check=[Health.too_slow, Health.data_too_large],
            ),
        )
