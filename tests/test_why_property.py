"""What `why` foretells is what the sweeps then do, whatever the town is like.

Each seed is a random fleet. The forecast is asked for once and held against what happens, sweep
after sweep, as long as nothing else changes.
"""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.factories import NOW, make_operation, make_town
from tests.sweeps.fakes import FakeFleet
from towns import automation
from towns.history import Actor
from towns.models import Breaker, MaintenanceWindow, Operation, Town
from towns.presenting import presentable
from towns.sweeps.health import sweep_fleet
from towns.sweeps.idle import sweep_idle
from towns.sweeps.restarts import decide_restarts
from towns.why import Answer, gather, why
from towns.why.awake import verdict_at
from towns.words import OperationKind, OperationState, Status

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
PERIOD = 3 * MINUTE
SWEEPS = 40
SCOPES = ("fleet", "region:iad", "image:registry.test/town:1")


@pytest.fixture
def fleet() -> FakeFleet:
    """The outside, all well."""
    return FakeFleet()


class Chance:
    """Random facts, from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def maybe(self, share: float) -> bool:
        return self.rng.random() < share

    def moment(self, least: int, most: int) -> datetime:
        return NOW + timedelta(seconds=self.rng.randint(60 * least, 60 * most))

    def hold(self) -> dict[str, Any]:
        if not self.maybe(0.3):
            return {}
        until = self.moment(-20, 60) if self.maybe(0.8) else None
        return {"hold_reason": "somebody looks at it", "hold_until": until}

    def past(self, town: Town) -> None:
        for _ in range(self.rng.choice((0, 0, 1, 2, 3))):
            make_operation(
                town,
                OperationKind.RESTART,
                state=self.rng.choice((OperationState.SUCCEEDED, OperationState.FAILED)),
                automatic=self.maybe(0.7),
                created_at=self.moment(-35, -1),
            )

    def failing(self) -> Town:
        failures = self.rng.randint(1, 5)
        town = make_town(
            status=Status.UNHEALTHY if failures >= 3 else Status.RUNNING,
            consecutive_failures=failures,
            episode_since=self.moment(-30, -1),
            last_result="failed",
            restarts_cleared_at=self.moment(-30, 0) if self.maybe(0.2) else None,
            **self.hold(),
        )
        self.past(town)
        return town

    def halts(self, town: Town) -> None:
        if self.maybe(0.25):
            until = self.moment(1, 60) if self.maybe(0.8) else None
            automation.freeze("all", reason="an incident", actor=Actor("ann"), now=NOW, until=until)
        for _ in range(self.rng.choice((0, 0, 1, 2))):
            since = self.moment(-10, 40)
            automation.plan_window(
                self.rng.choice((*SCOPES, f"town:{town.pk}", "region:ams")),
                since=since,
                until=since + timedelta(seconds=self.rng.randint(60, 2400)),
                reason="an upgrade",
                actor=Actor("ann"),
                now=NOW,
            )

    def breakers(self) -> None:
        for scope in SCOPES:
            if self.maybe(0.2):
                state = self.rng.choice(Breaker.State.values)
                Breaker.objects.create(scope=scope, state=state, reason="many fail", opened_at=NOW)

    def crowd(self) -> None:
        """Restarts under way, up to the limit and beyond."""
        for _ in range(self.rng.choice((0, 0, 0, 8, 9, 10))):
            make_operation(
                make_town(status=Status.RESTARTING), OperationKind.RESTART, automatic=True
            )


def fresh(town: Town) -> Town:
    return presentable(Town.objects.filter(pk=town.pk)).get()


@pytest.mark.parametrize("seed", range(50))
def test_the_verdict_told_is_the_verdict_taken(fleet: FakeFleet, seed: int) -> None:
    chance = Chance(seed)
    towns = [chance.failing() for _ in range(chance.rng.randint(1, 6))]
    town = towns[-1]
    chance.halts(town)
    chance.breakers()
    chance.crowd()
    if town.status != Status.UNHEALTHY:
        return
    told, _ = verdict_at(gather(fresh(town), NOW), NOW)
    done = {one.town: one for one in decide_restarts(fleet.services, NOW)}[str(town)]
    assert done.action == told.action, f"told {told}, but {done}"
    if done.action == "none":
        assert done.why == told.why
        assert town.events.get(kind="not_restarted").reason == told.why


def restarted_at(town: Town) -> datetime | None:
    found = Operation.objects.filter(town=town, kind=OperationKind.RESTART, state="open").first()
    return found.created_at if found else None


@pytest.mark.parametrize("seed", range(25))
def test_the_restart_comes_when_it_was_foretold(fleet: FakeFleet, seed: int) -> None:
    chance = Chance(1000 + seed)
    for _ in range(30):  # so that few failing towns are no platform that is down
        make_town()
    town = chance.failing()
    fleet.break_town(town)
    chance.halts(town)
    asked = NOW + timedelta(seconds=chance.rng.randint(1, 179))
    answer = why(fresh(town), asked)
    first = answer.expected("health_check")
    assert first is not None
    assert first.at is not None
    sweep_at(fleet, NOW)  # the slot of NOW is begun, and its check counts too
    if (told := fresh(town)).status not in (Status.RUNNING, Status.UNHEALTHY):
        assert any(one.what in ("restart", "error") and one.at == NOW for one in answer.next)
        return
    answer = why(told, asked)
    wanted = {what: one.at for what in ("restart", "error") if (one := answer.expected(what))}
    happened: dict[str, datetime] = {}
    for number in range(1, SWEEPS):
        at = NOW + number * PERIOD
        sweep_at(fleet, at)
        if restarted_at(town) is not None:
            happened["restart"] = at
        elif fresh(town).status == Status.ERROR:
            happened["error"] = at
        if happened:
            break
        again = why(fresh(town), at + timedelta(seconds=1))
        later = {what: one.at for what in ("restart", "error") if (one := again.expected(what))}
        assert later == wanted, "the forecast moved although nothing changed"
    assert happened == wanted, explained(answer)


def sweep_at(fleet: FakeFleet, at: datetime) -> None:
    fleet.clock.moment = at
    sweep_fleet(at, fleet.services)


def explained(answer: Answer) -> str:
    return "\n".join(answer.lines(NOW))


@pytest.mark.parametrize("seed", range(30))
def test_the_idle_stop_comes_when_it_was_foretold(fleet: FakeFleet, seed: int) -> None:
    chance = Chance(2000 + seed)
    town = make_town(
        last_interaction_at=chance.moment(-60, 0),
        awake_since=chance.moment(-60, 0),
        idle_timeout_minutes=chance.rng.choice((5, 15, 30, 60)),
        keep_awake_until=chance.moment(-10, 60) if chance.maybe(0.4) else None,
        auto_stop=chance.maybe(0.9),
        **chance.hold(),
    )
    work = {"polecats_active": 1} if chance.maybe(0.1) else {}
    fleet.sandboxes.reports[str(town.pk)] = work
    chance.halts(town)
    sweep_both(fleet, NOW)
    if fresh(town).status == Status.STOPPING:
        return
    answer = why(fresh(town), NOW + timedelta(seconds=chance.rng.randint(1, 179)))
    told = answer.expected("idle_stop")
    wanted = told.at if told is not None else None
    stopped = None
    for number in range(1, SWEEPS):
        at = NOW + number * PERIOD
        sweep_both(fleet, at)
        if fresh(town).status == Status.STOPPING:
            stopped = at
            break
    if wanted is not None and wanted > NOW + SWEEPS * PERIOD:
        wanted = None
    assert stopped == wanted, explained(answer)


def sweep_both(fleet: FakeFleet, at: datetime) -> None:
    sweep_at(fleet, at)
    sweep_idle(fleet.services, slot=at)


def test_the_seeds_are_worth_something(fleet: FakeFleet) -> None:
    """Restarts, errors and refusals all come up among them."""
    seen = set()
    for seed in range(80):
        chance = Chance(seed)
        town = [chance.failing() for _ in range(chance.rng.randint(1, 6))][-1]
        chance.halts(town)
        chance.breakers()
        verdict, _ = verdict_at(gather(fresh(town), NOW), NOW)
        seen.add(verdict.action)
        for model in (Breaker, MaintenanceWindow):
            model.objects.all().delete()
        automation.thaw("all", actor=Actor("ann"), now=NOW)
    assert len(seen) == 3
