"""Every commit of ours is a place where a worker may die: before it, or right after it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from unittest.mock import patch

from django.db import connection, transaction

from tests.world import Moment

Hook = Callable[[Moment], None]


@contextmanager
def watched_commits(hook: Hook) -> Iterator[None]:
    """Call `hook` before and after each commit of an outermost transaction of ours.

    The simulation itself lives in one large transaction, so that what commits is a savepoint of
    the first level. What the hook raises before the commit undoes the transaction.
    """
    leave = transaction.Atomic.__exit__
    level = len(connection.savepoint_ids) + 1

    def watched(
        self: transaction.Atomic,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None or len(connection.savepoint_ids) != level:
            leave(self, kind, error, trace)
            return
        if connection.savepoint_ids[-1] is not None:  # else there is nothing to undo it by
            try:
                hook(Moment.BEFORE)
            except BaseException as death:
                leave(self, type(death), death, death.__traceback__)
                raise
        leave(self, None, None, None)
        hook(Moment.AFTER)

    with patch.object(transaction.Atomic, "__exit__", watched):
        yield
