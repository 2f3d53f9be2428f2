"""Probing whose answers are there as soon as it is begun, for fakes."""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from towns.probe import Probe
from towns.services.protocols import Probing
from towns.services.sandbox import SandboxAddress


class AtOnce:
    """Batches as `ask` answers them."""

    waiting = 0

    def __init__(self, ask: Callable[[Sequence[SandboxAddress]], list[Probe]]) -> None:
        self.per_second = 0.0
        self._ask = ask
        self._done: deque[tuple[int, list[Probe]]] = deque()

    @property
    def under_way(self) -> int:
        """Those that were not taken."""
        return len(self._done)

    def begin(self, key: int, addresses: Sequence[SandboxAddress]) -> None:
        """Ask."""
        self._done.append((key, self._ask(addresses)))

    def take(self, seconds: float | None = None) -> tuple[int, list[Probe]] | None:
        """The first one."""
        return self._done.popleft() if self._done else None


def at_once(
    ask: Callable[[Sequence[SandboxAddress]], list[Probe]],
) -> AbstractContextManager[Probing]:
    """For `Sandbox.probing`."""
    return nullcontext(AtOnce(ask))
