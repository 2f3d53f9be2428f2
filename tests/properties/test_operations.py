"""The status table on real rows: whatever is asked for, and however operations end, a town is what
the tables say, and its history tells how it came to be."""

from copy import copy
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from hypothesis import HealthCheck as Health
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.factories import make_user
from tests.properties.asking import ANN, open_operation, request
from tests.properties.driving import (
    AGAIN,
    CALLED_OFF,
    FAULT,
    LATER,
    LOST,
    Script,
    claim,
    scripted,
)
from tests.properties.expected import DURING, KINDS, RESTING
from tests.properties.model import ModelTown
from tests.sweeps.fakes import FakeFleet, answer, good_report, silence
from towns import actions, interactions
from towns.flows import finish
from towns.flows.engine import run_claimed
from towns.flows.outcome import Outcome
from towns.flows.registry import flow_of
from towns.flows.run import LeaseLost, Run
from towns.models import Operation, Town
from towns.policy import judge
from towns.sweeps.observing import Observation
from towns.sweeps.storing import store
from towns.why import why
from towns.words import InteractionKind

DAY = timedelta(days=1)
ENDINGS = {
    "succeeds": (99, None),
    "fails": (1, FAULT),
    "is called off": (1, CALLED_OFF),
    "loses its machine": (0, LOST),
    "goes on": (2, LATER),
    "goes far": (8, AGAIN),
}
"""What the operation under way does: so many steps are done, and what comes then."""
TURNS = (
    *((kind, ending) for kind in KINDS for ending in ("succeeds", "fails", "goes on")),
    ("is called off",),
    ("restart", "destroy", "goes on"),
    ("start", "destroy", "goes on"),
    ("restart", "stop", "loses its machine"),
    ("restart", "stop", "restart", "succeeds"),
    ("recover", "stop", "recover", "succeeds"),
    ("restore", "destroy", "restore", "succeeds"),
    ("destroy", "start", "goes far"),
    ("stop", "start", "is called off"),
    ("destroy", "goes far", "restore"),
    ("destroy", "goes far", "restore", "loses its name", "succeeds"),
)
"""What people ask for and what comes of it; the last ones are changes of mind at the worst moment,
which chance alone would seldom find."""
lives = st.permutations(TURNS).map(lambda turns: list(chain(*turns[:8])))


class Operations(RuleBasedStateMachine):
    """One town, asked for everything, by people and rules, at every moment."""

    def __init__(self) -> None:
        super().__init__()
        self.scope = transaction.atomic()
        self.scope.__enter__()
        self.fleet = FakeFleet()
        self.owner: User = make_user()
        self.claims: list[Run] = []
        self.deleted_at = self.now
        self.status, self.status_event, self.last_event = "provisioning", 0, 0

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.scope.__exit__(None, None, None)

    @initialize(backed_up=st.booleans(), life=lives)
    def a_town_is_created(self, backed_up: bool, life: list[str]) -> None:
        requested = actions.create_town(
            self.owner, "alpha", actor=ANN, now=self.now, region="iad", reason="a new town"
        )
        self.town = requested.operation.town
        self.model = ModelTown(str(self.town), backed_up=backed_up)
        if backed_up:
            Town.objects.filter(pk=self.town.pk).update(last_snapshot="20260217T110000Z")
        self.it_lives(["succeeds", *life])

    @property
    def now(self) -> datetime:
        return self.fleet.clock.now()

    # What people and rules want

    @rule(life=lives)
    def it_lives(self, life: list[str]) -> None:
        """People ask for this and that, and operations go on and end."""
        for word in life:
            if word in KINDS:
                self._asks(word)
            elif word == "loses its name":
                self.its_owner_makes_another_of_its_name()
            elif self._may_be(word):
                self._work(*ENDINGS[word])
            self.it_is_what_the_tables_say()

    def _may_be(self, word: str) -> bool:
        kind, past_return = self.model.operation, self.model.deleted
        if word == "loses its machine":
            return kind in ("start", "restart")
        if word == "is called off":
            return kind == "stop" or (kind == "destroy" and not past_return)
        if word == "fails" and kind == "destroy":
            return not past_return
        return kind is not None

    def _asks(self, kind: str, **more: Any) -> None:
        ends = self.deleted_at + 30 * DAY
        self.model.until, self.model.expired = f"{ends:%Y-%m-%d}", self.now >= ends
        expected = self.model.ask(kind, **more)
        got = request(self.town, kind, self.now, **more)
        if expected.refused == "…":
            assert got.refused, f"{kind} should be refused, not {got}"
        else:
            assert got == expected

    @rule()
    def the_idle_sweep_asks(self) -> None:
        self._asks("stop", idle=True)

    @rule()
    def its_owner_comes(self) -> None:
        self.model.visit()
        self.town.refresh_from_db()
        interactions.visit(self.town, actor=ANN, kind=InteractionKind.VISIT, now=self.now)

    @rule()
    def its_owner_makes_another_of_its_name(self) -> None:
        free = self.model.deleted and self.model.status != "restoring" and not self.model.name_taken
        try:
            actions.create_town(self.owner, "alpha", actor=ANN, now=self.now, region="iad")
        except actions.NotAllowed:
            assert not free
        else:
            assert free
            self.model.name_taken = True

    # What becomes of it

    @precondition(lambda self: self.model.operation)
    @rule(meanwhile=st.sampled_from(KINDS))
    def it_succeeds(self, meanwhile: str) -> None:
        """Somebody asks for something else while its last step is under way."""
        self._work(99, meanwhile=meanwhile)

    @precondition(lambda self: self.model.operation not in (None, "destroy"))
    @rule(arrived=st.booleans())
    def its_deadline_is_over(self, arrived: bool) -> None:
        operation = self._operation()
        assert operation.deadline_at is not None, "only a destroy goes on for ever"
        self.fleet.clock.moment = max(self.now, operation.deadline_at)
        if _is_held(operation):
            self._work(99)
        else:
            self._is_overdue(operation, arrived)

    def _is_overdue(self, operation: Operation, arrived: bool) -> None:
        superseded = self.model.at_a_step_boundary()
        if not superseded and arrived and flow_of(operation.kind).arrived is not None:
            self.model.succeed()
        elif not superseded:
            self.model.fail()
        self._run(Script(arrived=arrived))

    def _work(
        self, steps: int, ending: Outcome | None = None, meanwhile: str | None = None
    ) -> None:
        """So many steps are done, then comes the ending; without one it goes on to its end."""
        operation = self._operation()
        over = operation.deadline_at is not None and self.now >= operation.deadline_at
        if over and not _is_held(operation):
            self._is_overdue(operation, arrived=False)
            return
        names = [step.__name__ for step in flow_of(operation.kind).steps]
        names = names[names.index(operation.step) :]
        if self.model.at_a_step_boundary():
            self._run(Script())
            return
        last = names[-1] if meanwhile else ""
        asks: list[str] = [meanwhile] if meanwhile else []
        script = Script(ending, steps, at=last, at_work=lambda: self._asks(asks[0]))
        done = names[:steps]
        if operation.kind == "destroy" and "soft_delete" in done and not self.model.deleted:
            if self.model.wanted != "destroyed":
                self.model.fail(called_off=True)
                self._run(Script(ending, steps))
                return
            self.model.deleted, self.deleted_at = True, self.now
        ended = ending is None or steps >= len(names)
        before = operation.pk
        self._run(script)
        if ended and (not meanwhile or self._is_still(before)):
            self.model.succeed()
        elif ended:
            pass  # a drill, called off by what was asked for
        elif ending is FAULT or ending is CALLED_OFF:
            self.model.fail(called_off=ending is CALLED_OFF)
        elif ending is LOST:
            self.model.hand_over()

    def _is_still(self, before: UUID) -> bool:
        """Whether what was asked for in its last step left the operation in its place."""
        return Operation.objects.get(pk=before).state == "succeeded"

    def _operation(self) -> Operation:
        operation = open_operation(self.town)
        assert operation is not None
        return operation

    def _run(self, script: Script) -> None:
        operation = self._operation()
        claimed = claim(operation, f"worker {len(self.claims)}")
        self.claims.append(Run(copy(claimed), self.town, self.fleet.services))
        with scripted(script):
            run_claimed(claimed, self.fleet.services)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), good=st.booleans())
    def a_late_worker_comes_back(self, data: st.DataObject, good: bool) -> None:
        """Kilo #1183: what it has to say changes nothing any more."""
        late = copy(data.draw(st.sampled_from(self.claims), label="claim"))
        row = Operation.objects.get(pk=late.operation.pk)
        if row.is_open and row.lease_number == late.operation.lease_number:
            return
        late.operation = copy(late.operation)
        end = finish.succeed if good else partial(finish.fail, reason="It was late.")
        with pytest.raises(LeaseLost):
            end(late)

    # What the sweeps see, and time

    @rule(results=st.lists(st.sampled_from(["ok", "failed", "failed", "unknown"]), max_size=5))
    def it_is_checked(self, results: list[str]) -> None:
        for result in results:
            self._is_checked(result)

    def _is_checked(self, result: str) -> None:
        self.model.check(result)
        self.town.refresh_from_db()
        online = result != "unknown"
        probe = answer(good_report(str(self.town.pk))) if result == "ok" else silence()
        seen = judge(probe, town_id=str(self.town.pk), machine_id="", online=online)
        store([Observation(self.town, probe, seen)], slot=None, now=self.now)

    @rule(time=st.integers(0, 60).map(lambda m: timedelta(minutes=m)) | st.just(31 * DAY))
    def time_passes(self, time: timedelta) -> None:
        self.fleet.clock.moment += time

    # What always holds

    @invariant()
    def it_is_what_the_tables_say(self) -> None:
        self.town.refresh_from_db()
        operation, model = open_operation(self.town), self.model
        got = (self.town.status, self.town.desired_state, operation and operation.kind)
        assert got == (model.status, model.wanted, model.operation)
        assert (self.town.destroyed_at is not None) == model.deleted
        if model.status in ("stopping", "stopped"):
            assert self.town.stop_reason == model.stopped_by
        if operation is None or operation.kind == "drill":
            assert self.town.status in RESTING, "no state without an exit"
        elif during := DURING[operation.kind]:
            assert self.town.status == during
        self._its_history_tells_how_it_came_to_be()

    def _its_history_tells_how_it_came_to_be(self) -> None:
        """Invariant 7."""
        for event in self.town.events.filter(pk__gt=self.last_event).order_by("pk"):
            self.last_event = event.pk
            assert event.kind
            assert event.actor
            if event.kind.endswith(("_failed", "_called_off")):
                assert event.reason, f"{event.kind} has a reason"
            if event.to_status:
                assert event.from_status == self.status
                of_a_check = event.kind in ("unhealthy", "recovered")
                assert of_a_check == (event.operation_id is None)
                self.status, self.status_event = event.to_status, event.pk
        assert (self.status, self.status_event) == (self.town.status, self.town.status_event_id)

    @invariant()
    def it_can_say_why(self) -> None:
        self.town.refresh_from_db()
        told = why(self.town, self.now)
        assert (told.status, told.wanted) == (self.model.status, self.model.wanted)
        assert told.rule is not None
        assert told.next, f"nothing follows from {told}"
        assert all(one.text for one in told.held)
        assert all(one.text for one in told.next)
        assert all(told.notes)
        if told.status == "error" and self.model.operation is None:
            assert told.to_do
            assert self.town.alerts.filter(resolved_at=None).exists(), "invariant 10"
        ended = self.town.operations.filter(state="superseded").exclude(kind="drill")
        assert not ended.filter(successor=None).exists(), "what is superseded says by what"


def _is_held(operation: Operation) -> bool:
    """Whether it is at the step where it may wait for people, and its deadline doesn't count."""
    held = flow_of(operation.kind).held_at
    return held is not None and operation.step == held.__name__


def test_a_deadline_that_passes_before_a_recovery_has_begun_ends_nothing(db: None) -> None:
    """Chance found it once."""
    life = ["restart", "stop", "loses its machine"]
    town = Operations()
    try:
        town.a_town_is_created(backed_up=False, life=life)
        town.its_deadline_is_over(arrived=False)
        town.it_is_what_the_tables_say()
        town.it_can_say_why()
    finally:
        town.teardown()


@pytest.mark.timeout(400)
def test_operations(db: None) -> None:
    run_state_machine_as_test(
        Operations,
        settings=settings(
            max_examples=40,
            stateful_step_count=6,
            suppress_health_check=[Health.too_slow, Health.data_too_large],
        ),
    )
