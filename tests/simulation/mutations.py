"""Defects on purpose, by the invariant that each breaks: the search has to find every one."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from django.test import override_settings

from towns import addresses
from towns.actions import refusal
from towns.flows import destroy, finish, machines, recover, stop, volumes
from towns.flows.outcome import Done, Outcome
from towns.flows.run import Run
from towns.models import Operation, Town
from towns.policy import Hold, IdleFacts, IdleRules, awake_because
from towns.services.errors import ServiceError
from towns.services.fly_types import Machine
from towns.sweeps import health, idle, planning
from towns.words import OperationKind, Status

from .plan import Plan, make_plan

Steps = dict[str, Callable[[Run], Outcome]]


@contextmanager
def _other_steps(module: Any, steps: Steps) -> Iterator[None]:
    """A flow in which some steps do something else."""
    flow = module.FLOW
    for name, step in steps.items():
        step.__name__ = name
    changed = tuple(steps.get(step.__name__, step) for step in flow.steps)
    with patch.object(module, "FLOW", replace(flow, steps=changed)):
        yield


@contextmanager
def two_operations() -> Iterator[None]:
    """1: whoever asks doesn't look whether an operation is under way."""
    with patch("towns.actions.refusal", lambda kind, town, operation: None):
        yield


@contextmanager
def two_machines() -> Iterator[None]:
    """2: recovery may begin while a town runs, and makes its new machine beside the old one."""

    def refuse(kind: OperationKind, town: Town, operation: Operation | None) -> str | None:
        runs = town.status == Status.RUNNING and operation is None
        return None if runs and kind == OperationKind.RECOVER else refusal(kind, town, operation)

    def own_generation(run: Run) -> Machine | None:
        found = run.fly.list_machines(
            metadata=addresses.machine_metadata(run.town)  # with its generation
        )
        return next((one for one in found if one.state not in machines.GONE), None)

    with (
        patch("towns.actions.refusal", refuse),
        _other_steps(recover, {"remove_old_machine": lambda run: Done("it can stay")}),
        patch.object(machines, "_newest_by_metadata", own_generation),
        patch.object(addresses, "machine_name", lambda town: f"gastown-{town.pk}-{uuid4().hex}"),
    ):
        yield


@contextmanager
def no_backup_before_destroy() -> Iterator[None]:
    """3: a destroy asks for no last backup and keeps none."""

    def keep_nothing(run: Run) -> Outcome:
        run.remember(retained="nothing")
        return Done()

    def believe(run: Run) -> Outcome:
        return destroy._without_sync(run, "believed")

    with (
        _other_steps(destroy, {"choose_backup": believe, "keep_final_snapshot": keep_nothing}),
        patch.object(destroy, "discarded", lambda run: True),
    ):
        yield


@contextmanager
def blind_to_polecats() -> Iterator[None]:
    """4: whether polecats are at work makes no difference."""

    def blind(facts: IdleFacts, now: datetime, rules: IdleRules) -> list[Hold]:
        return [hold for hold in awake_because(facts, now, rules) if hold != Hold.POLECATS]

    with patch.object(stop, "awake_because", blind), patch.object(idle, "awake_because", blind):
        yield


@contextmanager
def silence_is_absence() -> Iterator[None]:
    """5: a volume of which Fly says nothing is taken for lost."""
    prove = machines.volume_loss

    def guess(run: Run) -> str | None:
        try:
            return prove(run)
        except ServiceError as error:
            return f"it must be gone: {error}"

    with ExitStack() as stack:
        for module in (machines, recover):
            stack.enter_context(patch.object(module, "volume_loss", guess))
        yield


@contextmanager
def nothing_is_adopted() -> Iterator[None]:
    """6: a volume that was made but not saved is not looked for."""
    with patch.object(volumes, "_newest_by_name", lambda run: None):
        yield


@contextmanager
def status_without_event() -> Iterator[None]:
    """7: a town that arrives gets its status, and no line of history says so."""

    def silently(run: Run, town: Town, to: Any) -> None:
        Town.objects.filter(pk=town.pk).update(status=to, status_since=run.now)
        town.refresh_from_db()

    with patch.object(finish, "_arrive", silently):
        yield


@contextmanager
def endless_leases() -> Iterator[None]:
    """8: a killed worker's operations stay its own for ten minutes."""
    with override_settings(GASTOWN_LEASE_SECONDS=600):
        yield


@contextmanager
def restart_storm() -> Iterator[None]:
    """9: a failure of the platform is taken for one of each town."""
    with (
        patch.object(health, "update_breakers", lambda *_, **__: None),
        patch.object(planning.Planner, "_held_back", lambda self, town: None),
    ):
        yield


@contextmanager
def forgotten_wishes() -> Iterator[None]:
    """10: what was asked for during an operation is forgotten."""
    with patch.object(finish, "_follow", lambda run, town, success: None):
        yield


@contextmanager
def told_secrets() -> Iterator[None]:
    """11: what a machine is given is remembered with the operation."""
    spec = machines._machine_spec

    def tell(run: Run) -> Any:
        made = spec(run)
        run.remember(environment=dict(made.env))
        return made

    with patch.object(machines, "_machine_spec", tell):
        yield


@dataclass(frozen=True, slots=True)
class Mutation:
    """A defect, the histories that it shows in, and whether the database itself refuses it."""

    defect: Callable[[], AbstractContextManager[None]]
    towns: int = 4
    hours: float = 1
    busy: float = 8
    refused: bool = False

    def plan(self, seed: int) -> Plan:
        """One of the histories."""
        return make_plan(seed, towns=self.towns, hours=self.hours, busy=self.busy)


MUTATIONS: dict[int, Mutation] = {
    1: Mutation(two_operations, refused=True),
    2: Mutation(two_machines),
    3: Mutation(no_backup_before_destroy),
    4: Mutation(blind_to_polecats),
    5: Mutation(silence_is_absence),
    6: Mutation(nothing_is_adopted),
    7: Mutation(status_without_event, refused=True),
    8: Mutation(endless_leases),
    9: Mutation(restart_storm, towns=30),
    10: Mutation(forgotten_wishes, towns=10, hours=0.5, busy=30),
    11: Mutation(told_secrets),
}
"""By the invariant that each of them breaks."""
