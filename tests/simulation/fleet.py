"""A fleet that has settled: every history begins with a copy of it, so that none pays for it."""

import copy
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from django.db import transaction
from django.test import override_settings

from towns.models import Drill, Operation, Town

from .checker import Violation
from .commits import watched_commits
from .plan import Plan
from .simulation import Simulation


class Fleet:
    """So many towns in a world of their own, while it is entered.

    The copy of a history is that of the world; the database goes back to a savepoint.
    """

    def __init__(self, towns: int) -> None:
        self._settled = Simulation(towns)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(override_settings(GASTOWN_DRILLS_PER_DAY=24))
            stack.enter_context(_undone())
            with _ids_of_the_seed("settled"), _errors_to(self._settled.unexpected):
                self._settled.settle()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def live(self, plan: Plan) -> Simulation:
        """Live through a plan; raises Violation as soon as an invariant doesn't hold."""
        assert plan.towns == self._settled.plan.towns
        sim = copy.deepcopy(self._settled)
        with (
            override_settings(**_settings_of(plan)),
            _ids_of_the_seed(plan.seed),
            _errors_to(sim.unexpected),
            _undone(),
            watched_commits(sim.at_commit),
        ):
            sim.live(plan)
        return sim

    def outcome(self, plan: Plan) -> Violation | None:
        """Live through a plan; the violation that it comes to, or None."""
        try:
            self.live(plan)
        except Violation as violation:
            return violation
        except Exception as error:  # noqa: BLE001  (whatever our code raises here is a defect)
            return Violation(0, f"an unexpected error: {type(error).__name__}: {error}")
        return None


def _settings_of(plan: Plan) -> dict[str, int]:
    """Histories differ in how the work is cut, and in how often what may be late is looked at."""
    return {
        "GASTOWN_SWEEP_CHUNK_SIZE": plan.towns // 3 + 1 if plan.seed % 3 == 0 else 500,
        "GASTOWN_RECONCILE_PERIOD_SECONDS": (180, 600)[plan.seed % 2],
        "GASTOWN_BACKUPS_PERIOD_SECONDS": (300, 900)[plan.seed // 2 % 2],
    }


@contextmanager
def _undone() -> Iterator[None]:
    """Whatever is stored meanwhile is undone."""
    with transaction.atomic():
        try:
            yield
        finally:
            transaction.set_rollback(True)


@contextmanager
def _ids_of_the_seed(seed: int | str) -> Iterator[None]:
    """Rows are found in the order of their ids: for a replay they have to be the same."""
    rng = random.Random(seed)
    fields = [model._meta.get_field("id") for model in (Town, Operation, Drill)]
    before = [field.default for field in fields]
    try:
        for field in fields:
            _set_default(field, lambda: UUID(int=rng.getrandbits(128), version=4))
        yield
    finally:
        for field, default in zip(fields, before, strict=True):
            _set_default(field, default)


def _set_default(field: Any, default: Callable[[], UUID]) -> None:
    field.default = default
    field.__dict__.pop("_get_default", None)  # Django keeps it once it was asked for


@contextmanager
def _errors_to(seen: list[str]) -> Iterator[None]:
    """Whatever our code calls unexpected is a defect."""
    watch = _Watch(seen)
    logging.getLogger("towns").addHandler(watch)
    try:
        yield
    finally:
        logging.getLogger("towns").removeHandler(watch)


class _Watch(logging.Handler):
    def __init__(self, seen: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self._seen.append(f"{record.getMessage()}: {self.format(record)[-1500:]}")
