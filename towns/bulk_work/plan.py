"""The preview: which towns of a selection it would be done to, and why not to the others."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, QuerySet

from towns.history import Actor
from towns.models import BulkItem, BulkRun, Operation, Town
from towns.preview import preview
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
EXAMPLES = 3


class NothingSelected(ValueError):
    """An empty selection is none: it never means all."""


@dataclass(slots=True)
class Skips:
    """Towns that are left out for one reason."""

    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """What a run would do."""

    towns: int = 0
    polecats: int = 0
    """Agents at work in the towns that it is done to."""
    skipped: dict[str, Skips] = field(default_factory=lambda: defaultdict(Skips))

    @property
    def reasons(self) -> list[tuple[str, Skips]]:
        """Why towns are skipped, the most frequent first."""
        return sorted(self.skipped.items(), key=lambda pair: -pair[1].count)

    @property
    def left_out(self) -> int:
        """All that are skipped."""
        return sum(one.count for one in self.skipped.values())


@transaction.atomic
def make_plan(
    kind: OperationKind,
    towns: QuerySet[Town],
    *,
    user: User,
    selection: str,
    now: datetime,
) -> tuple[BulkRun, Plan]:
    """Fix the towns of a run and say what would come of it. NothingSelected for no town.

    Towns that are skipped are kept with their reason, so that the result tells of all of them.
    """
    run = BulkRun.objects.create(
        kind=kind,
        actor=Actor.person(user).name,
        user=user,
        selection=selection,
        created_at=now,
    )
    plan = Plan()
    for chunk in _chunks(towns):
        open_ones = {
            one.town_id: one
            for one in Operation.objects.filter(
                town__in=[town.pk for town in chunk], state=OperationState.OPEN
            )
        }
        items = []
        for town in chunk:
            operation = open_ones.get(town.pk)
            told = preview(kind, town, operation, now)
            item = BulkItem(run=run, town=town)
            if told.allowed and (operation is None or operation.kind in BESIDE):
                plan.towns += 1
                plan.polecats += town.figure("polecats_active") or 0
            else:
                why = told.text
                if told.allowed and operation is not None:
                    why = f"Its {operation.kind} is under way."
                item.state, item.told = BulkItem.State.SKIPPED, why
                skips = plan.skipped[_kind_of(why, town)]
                skips.count += 1
                if len(skips.examples) < EXAMPLES:
                    skips.examples.append(str(town))
            items.append(item)
        BulkItem.objects.bulk_create(items)
    if not plan.towns + plan.left_out:
        raise NothingSelected("No town was selected, so nothing is done.")
    return run, plan


def read_plan(run: BulkRun) -> Plan:
    """The preview of a run that was planned before."""
    plan = Plan()
    rows = run.items.select_related("town__owner").only(
        "state", "told", "town__name", "town__health", "town__owner__username"
    )
    for item in rows.iterator(chunk_size=CHUNK):
        if item.state != BulkItem.State.SKIPPED:
            plan.towns += 1
            plan.polecats += item.town.figure("polecats_active") or 0
            continue
        skips = plan.skipped[_kind_of(item.told, item.town)]
        skips.count += 1
        if len(skips.examples) < EXAMPLES:
            skips.examples.append(str(item.town))
    return plan


def counts_of(run: BulkRun) -> Counter[str]:
    """How many items are in each state; one statement."""
    rows = run.items.order_by().values_list("state").annotate(Count("pk"))
    return Counter(dict(rows))


def _chunks(towns: QuerySet[Town]) -> Iterator[list[Town]]:
    found = towns.select_related("owner").order_by("pk").iterator(chunk_size=CHUNK)
    while chunk := list(islice(found, CHUNK)):
        yield chunk


def _kind_of(why: str, town: Town) -> str:
    """A reason without the town's own name: towns with the same one are counted together."""
    return why.replace(str(town), "It").replace(town.name, "it")
