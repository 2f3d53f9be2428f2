"""The preview: which towns of a selection it would be done to, and why not to the others.

The towns are fixed at once, in one statement; each is looked at afterwards, many at a time, by
whoever holds the run's row: the first ones at once, the rest by a worker.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import Count, Max, Min, QuerySet

from towns.facts import idle_facts
from towns.history import Actor
from towns.models import BulkItem, BulkRun, Operation, Town
from towns.policy import is_connected
from towns.preview import preview
from towns.rules import idle_rules
from towns.standing import Cause, Standing, read_standing
from towns.words import BESIDE, OperationKind, OperationState

KINDS = (
    OperationKind.START,
    OperationKind.STOP,
    OperationKind.RESTART,
    OperationKind.BACKUP,
    OperationKind.RECOVER,
)
"""What can be done in bulk. A destroy can't: what is lost is decided town by town."""
CHUNK = 2000
"""As many towns are looked at in one transaction."""
REASONS_SHOWN = 20
_FIX = """
    INSERT INTO towns_bulkitem (run_id, town_id, state, told)
    SELECT %s, chosen.id, %s, '' FROM ({towns}) AS chosen
"""

State, Item = BulkRun.State, BulkItem.State


class NothingSelected(ValueError):
    """An empty selection is none: it never means all."""


@dataclass(frozen=True, slots=True)
class Skips:
    """Towns that are left out for one reason."""

    why: str
    count: int
    examples: list[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do; `weigh` counts what a person should know of the towns it is done to."""

    towns: int
    left_out: int
    skips: list[Skips]
    weigh: dict[str, int]


@transaction.atomic
def make_plan(
    kind: OperationKind,
    towns: QuerySet[Town],
    *,
    user: User,
    selection: str,
    now: datetime,
) -> BulkRun:
    """Fix the towns of a run and look at the first of them. NothingSelected for no town.

    It is `planning` as long as there are more to look at. Towns that are skipped are kept with
    their reason, so that the result tells of all of them.
    """
    run = BulkRun.objects.create(
        kind=kind,
        state=State.PLANNING,
        actor=Actor.person(user).name,
        user=user,
        selection=selection,
        created_at=now,
    )
    if not _fix(run, towns):
        raise NothingSelected("No town was selected, so nothing is done.")
    look_on(run, now)
    return run


def look_on(run: BulkRun, now: datetime) -> None:
    """Look at some more towns of a run whose row the caller holds; after the last it is previewed.

    Bears being repeated: what was looked at is noted in the same transaction.
    """
    unseen = run.items.filter(state=Item.UNSEEN).select_related("town__owner")
    items = list(unseen[: CHUNK + 1])
    more, items = len(items) > CHUNK, items[:CHUNK]
    found = defaultdict[str, list[int]](list)
    weigh, standing = Counter[str](run.weigh), read_standing(now)
    open_ones = _open_operations(item.town for item in items)
    for item in items:
        why = _why_not(OperationKind(run.kind), item.town, open_ones.get(item.town_id), now)
        found[why].append(item.pk)
        if not why:
            weigh += _weighed(item.town, standing, now)
    for why, ids in found.items():
        state = Item.SKIPPED if why else Item.WAITING
        BulkItem.objects.filter(pk__in=ids).update(state=state, told=why)
    run.weigh = dict(weigh)
    run.state = State.PLANNING if more else State.PREVIEWED
    run.save(update_fields=["weigh", "state"])


def read_plan(run: BulkRun) -> Plan:
    """What a run would do, as far as it was looked at; a fixed number of statements."""
    counts = counts_of(run)
    rows = list(
        run.items.filter(state=Item.SKIPPED)
        .order_by()
        .values_list("told")
        .annotate(count=Count("pk"), first=Min("pk"), last=Max("pk"))
        .order_by("-count", "told")[:REASONS_SHOWN]
    )
    ids = {pk for *_, first, last in rows for pk in (first, last)}
    shown = run.items.filter(pk__in=ids).select_related("town__owner")
    names = {item.pk: str(item.town) for item in shown}
    return Plan(
        towns=counts[Item.WAITING],
        left_out=counts[Item.SKIPPED],
        skips=[
            Skips(why, count, [names[pk] for pk in sorted({first, last})])
            for why, count, first, last in rows
        ],
        weigh=run.weigh,
    )


def counts_of(run: BulkRun) -> Counter[str]:
    """How many items are in each state; one statement."""
    rows = run.items.order_by().values_list("state").annotate(Count("pk"))
    return Counter(dict(rows))


def _fix(run: BulkRun, towns: QuerySet[Town]) -> int:
    """Keep which towns they are, in the order of their ids; how many."""
    try:
        chosen, values = towns.order_by("pk").values("id").query.sql_with_params()
    except EmptyResultSet:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_FIX.format(towns=chosen), [run.pk, Item.UNSEEN, *values])
        return int(cursor.rowcount)


def _open_operations(towns: Iterable[Town]) -> dict[object, Operation]:
    ids = [town.pk for town in towns]
    found = Operation.objects.filter(town__in=ids, state=OperationState.OPEN)
    return {operation.town_id: operation for operation in found}


def _why_not(kind: OperationKind, town: Town, operation: Operation | None, now: datetime) -> str:
    """Why a town is left out, without its name, so that towns can be counted by it; "" if not."""
    told = preview(kind, town, operation, now)
    if not told.allowed:
        return told.text.replace(str(town), "It")
    if operation is not None and operation.kind not in BESIDE:
        return f"Its {operation.kind} is under way."
    return ""


def _weighed(town: Town, standing: Standing, now: datetime) -> Counter[str]:
    causes = {held.cause for held in standing.held_back(town, now)}
    return Counter(
        polecats=town.figure("polecats_active") or 0,
        connected=is_connected(idle_facts(town), now, idle_rules()),
        kept_awake=town.keep_awake_until is not None and town.keep_awake_until > now,
        held=Cause.HOLD in causes,
        in_maintenance=Cause.WINDOW in causes,
    )
