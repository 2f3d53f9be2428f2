"""Budgets that hold over all workers and hosts, since the database keeps them."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error, connection
from django.db.models import QuerySet

from towns.models import CountedBudget, FlyBudget, Operation
from towns.services.limits import LONGEST_WAIT, Limit, TokenBuckets, limit_of
from towns.words import OperationKind, OperationState

log = logging.getLogger(__name__)
Values = dict[str, str | float]
RESTARTS = "restarts"
HELD = "held:"
"""Begins the key of the row that says how long Fly wants to be left alone, if it said so."""
RECOVERY_IS_HELD = "hold_if_frozen"
"""The step at which a recovery waits, and has done nothing yet."""
SURELY_FULL = timedelta(hours=1)
"""How long a bucket has been full before it is forgotten: hosts' clocks may be wrong by minutes."""
A_TICK = 0.001
"""Seconds that SQLite's clock can't tell apart."""
_TABLE = FlyBudget._meta.db_table
_NOW = {
    "postgresql": "EXTRACT(EPOCH FROM clock_timestamp())::float8",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}
"""The database's own clock, read when the row is ours rather than when the statement began."""
_HELD = f"""(SELECT full_at - {{now}} FROM {_TABLE}
    WHERE key = %(held)s AND full_at BETWEEN {{now}} AND {{now}} + {LONGEST_WAIT})"""
"""For how many seconds Fly wants to be left alone. What is longer, the clock was set back since."""
_HOLD = f"""
    INSERT INTO {_TABLE} AS hold (key, full_at) VALUES (%(held)s, {{now}} + %(seconds)s)
    ON CONFLICT (key) DO UPDATE SET full_at = excluded.full_at
    WHERE hold.full_at NOT BETWEEN excluded.full_at AND {{now}} + {LONGEST_WAIT}
"""
_TAKE = f"""
    INSERT INTO {_TABLE} AS bucket (key, full_at)
    SELECT %(key)s, {{now}} + %(taken)s WHERE {_HELD} IS NULL
    ON CONFLICT (key) DO UPDATE
    SET full_at = %(taken)s
        + CASE WHEN bucket.full_at BETWEEN {{now}} AND {{now}} + %(most)s THEN bucket.full_at
        ELSE {{now}} END
    WHERE bucket.full_at NOT BETWEEN {{now}} + %(slack)s AND {{now}} + %(most)s
"""
_WAIT = f"(SELECT full_at - {{now}} - %(slack)s FROM {_TABLE} WHERE key = %(key)s), {_HELD}"


@dataclass(frozen=True, slots=True)
class SharedBuckets:
    """Fly's rate limits for all workers together: the buckets of `TokenBuckets`, in the database.

    The process's own stand in front, so that most of what would be refused costs no statement. They
    decide alone when the database can't be asked, and inside a transaction, which would keep the
    others from their bucket until its end.
    """

    own: TokenBuckets = field(default_factory=TokenBuckets)

    def take(self, action: str, key: str) -> None:
        """Take one token, in one statement. Raises RateLimited with the seconds until the next."""
        self.own.take(action, key)
        self.ask(action, key)

    def ask(self, action: str, key: str, many: int = 1) -> int | None:
        """Take so many tokens or none of all workers' bucket, in one statement; returns how many
        are left, None if it can't be asked. Raises RateLimited with the seconds until they come.

        Not to be used without a `take` of `own` for each call: it decides when nobody else can.
        """
        if connection.in_atomic_block:
            return None
        limit = limit_of(action, self.own.limits)
        try:
            left, wait = _take_tokens(action, key, limit, many)
        except Error as error:
            log.warning("the budget of %s was not asked: %s", action, error)
            connection.close_if_unusable_or_obsolete()
            return None
        if wait is not None:
            if many == 1:  # of more there may be some
                self.own.hold(action, key, wait)
            raise limit.refusal(action, key, wait)
        return left

    def hold(self, action: str, key: str, seconds: float) -> None:
        """Have nobody take one for so many seconds: Fly has refused a call."""
        seconds = min(seconds, LONGEST_WAIT)
        self.own.hold(action, key, seconds)
        if connection.in_atomic_block:
            return
        values: Values = {"held": _row_key(HELD, action, key), "seconds": seconds}
        try:
            with connection.cursor() as cursor:
                cursor.execute(_HOLD.format(now=_NOW[connection.vendor]), values)
        except Error as error:
            log.warning("others were not told to wait with %s: %s", action, error)
            connection.close_if_unusable_or_obsolete()


def _row_key(*words: str) -> str:
    return " ".join(words)[:200]


def _take_tokens(action: str, key: str, limit: Limit, many: int) -> tuple[int, float | None]:
    """How many are left and None when so many were taken, else 0 and the seconds until there are
    as many."""
    taken = many * limit.interval
    full = limit.burst * limit.interval
    slack = full - taken + A_TICK
    # What is further from full than any take leaves it was written before the clock was set back.
    most = full + 2 * A_TICK
    values: Values = {"slack": slack, "most": most, "taken": taken}
    values |= {"key": _row_key(action, key), "held": _row_key(HELD, action, key)}
    now = _NOW[connection.vendor]
    with connection.cursor() as cursor:
        taking, wait = _TAKE.format(now=now), _WAIT.format(now=now)
        taking = f"{taking} RETURNING full_at - {now} AS until_full"
        if connection.vendor == "postgresql":
            cursor.execute(
                f"WITH taken AS ({taking}) SELECT (SELECT until_full FROM taken), {wait}", values
            )
            until_full, *waits = cursor.fetchone()
        else:
            cursor.execute(taking, values)
            (until_full,) = cursor.fetchone() or (None,)
            waits = []
            if until_full is None:
                cursor.execute(f"SELECT {wait}", values)
                waits = cursor.fetchone()
    if until_full is not None:
        return max(0, int((most - until_full) / limit.interval)), None
    # The look may be older than the refusal, when others have taken in between.
    waiting = (wait for wait in waits if wait is not None and wait > 0)
    return 0, max(waiting, default=limit.interval)


def full_buckets(now: datetime) -> QuerySet[FlyBudget]:
    """The rows of full buckets, which say as much as none, in no order: none is worth a sort."""
    return FlyBudget.objects.filter(full_at__lt=(now - SURELY_FULL).timestamp()).order_by()


def restarts_under_way() -> int:
    """Automatic restarts and recoveries at work, in the whole fleet.

    A recovery that is held back is not at work: however many there are, they must not take the
    budget from the towns that a restart would heal.
    """
    at_work = Operation.objects.filter(
        kind__in=(OperationKind.RESTART, OperationKind.RECOVER),
        automatic=True,
        state=OperationState.OPEN,
    )
    return at_work.exclude(kind=OperationKind.RECOVER, step=RECOVERY_IS_HELD).count()


def why_no_room() -> str:
    """Why an automatic restart or recovery has to wait when there is no room for it."""
    limit: int = settings.GASTOWN_RESTARTS_AT_ONCE
    return f"{limit} automatic restarts are under way; it is its turn later"


def room_left() -> int:
    """How many more automatic restarts may begin now."""
    limit: int = settings.GASTOWN_RESTARTS_AT_ONCE
    return limit - restarts_under_way()


def lock_restart_room() -> int:
    """How many more automatic restarts may begin now.

    Not to be used outside a transaction: until its end everybody else who asks waits, and then
    counts what was begun in it. It comes before the lock of any town. SQLite has one writer at a
    time, so there the transaction itself is the lock.
    """
    CountedBudget.objects.select_for_update().get_or_create(name=RESTARTS)
    return room_left()
