"""Defects on purpose, by the invariant that each breaks: the search has to find every one."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

from django.test import override_settings

from towns.flows import destroy, finish, machines, volumes
from towns.flows.outcome import Done, Outcome
from towns.flows.run import Run
from towns.history import Actor
from towns.models import Town


@contextmanager
def two_operations() -> Iterator[None]:
    """1: whoever asks doesn't look whether an operation is under way."""
    with patch("towns.actions.refusal", lambda kind, town, operation: None):
        yield


@contextmanager
def no_backup_before_destroy() -> Iterator[None]:
    """3: a destroy asks for no last backup and keeps none."""

    def keep_nothing(run: Run) -> Outcome:
        run.remember(retained="nothing")
        return Done()

    def believe(run: Run) -> Outcome:
        return destroy._without_sync(run, "believed")

    steps = [
        {"choose_backup": believe, "keep_final_snapshot": keep_nothing}.get(step.__name__, step)
        for step in destroy.FLOW.steps
    ]
    for step, original in zip(steps, destroy.FLOW.steps, strict=True):
        step.__name__ = original.__name__
    with (
        _flow(destroy, steps),
        patch.object(destroy, "soft_delete", destroy.soft_delete),
        patch.object(destroy, "discarded", lambda run: True),
    ):
        yield


@contextmanager
def _flow(module: Any, steps: list[Any]) -> Iterator[None]:
    from dataclasses import replace

    with patch.object(module, "FLOW", replace(module.FLOW, steps=tuple(steps))):
        yield


@contextmanager
def nothing_is_adopted() -> Iterator[None]:
    """6: a volume that was made but not saved is not looked for."""
    with patch.object(volumes, "_newest_by_name", lambda run: None):
        yield


@contextmanager
def status_without_event() -> Iterator[None]:
    """7: a town's status is set when its flow ends, and nothing says so."""
    arrive = finish._arrive

    def silently(run: Run, town: Town, to: Any) -> None:
        arrive(run, town, to)
        if to == "stopped":
            from towns import history

            history.change_status(
                town, to, kind="odd", actor=Actor.shell(), now=run.now, reason="twice"
            )
            history.new_event(town, "odd", actor=Actor.shell(), now=run.now).save()
            _forge(town)

    with patch.object(finish, "_arrive", silently):
        yield


def _forge(town: Town) -> None:
    """An event that says what never was."""
    from towns import history

    event = history.new_event(town, "odd", actor=Actor.shell(), now=town.status_since)
    event.from_status, event.to_status = "error", "stopped"
    event.save()


@contextmanager
def endless_leases() -> Iterator[None]:
    """8: a killed worker's operations stay its own for ten minutes."""
    with override_settings(GASTOWN_LEASE_SECONDS=600):
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


Mutation = Callable[[], AbstractContextManager[None]]
MUTATIONS: dict[int, Mutation] = {
    1: two_operations,
    3: no_backup_before_destroy,
    6: nothing_is_adopted,
    7: status_without_event,
    8: endless_leases,
    10: forgotten_wishes,
    11: told_secrets,
}
"""By the invariant that each of them breaks."""
