"""An event loop whose time goes by as fast as there is nothing to do."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.DefaultSelector):
    """Waits in virtual time."""

    loop: "_Loop"

    def select(self, timeout: float | None = None) -> Any:
        self.loop.passed += timeout or 0.0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    passed = 0.0

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.passed


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run it."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(work)


def stand_still(seconds: float) -> None:
    """In its loop: something takes so long meanwhile."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop)
    loop.passed += seconds
