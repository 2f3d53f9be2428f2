"""Who wants to know how calls went."""

from collections.abc import Callable

OnResult = Callable[[str, str], None]
"""Hears of each call: what was asked, and `ok` or what went wrong, in a word."""


def ignore(_action: str, _result: str) -> None:
    """Nobody wants to know."""
