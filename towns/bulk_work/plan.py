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

    def take(self, town: Town) -> None:
        """It would be done to this one."""
        self.towns += 1
        self.polecats += town.figure("polecats_active") or 0

    def skip(self, town: Town, why: str) -> None:
        """This one is left out. The reason is counted without the town's own name."""
        skips = self.skipped[why.replace(str(town), "It").replace(town.name, "it")]
        skips.count += 1
        if len(skips.examples) < EXAMPLES:
            skips.examples.append(str(town))

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
            busy = operation is not None and operation.kind not in BESIDE
            if told.allowed and not busy:
                plan.take(town)
            else:
                why = told.text
                if told.allowed and operation is not None:
                    why = f"Its {operation.kind} is under way."
                item.state, item.told = BulkItem.State.SKIPPED, why
                plan.skip(town, why)
            items.append(item)
        BulkItem.objects.bulk_create(items)
    if not plan.towns + plan.left_out:
        raise NothingSelected("No town was selected, so nothing is done.")
    return run, plan


def read_plan(run: BulkRun) -> Plan:
    """The preview of a run that was planned before."""
    plan = Plan()
    rows = run.items.select_related("town__owner").only(
        "run", "state", "told", "town__name", "town__health", "town__owner__username"
    )
    for item in rows.iterator(chunk_size=CHUNK):
        if item.state == BulkItem.State.SKIPPED:
            plan.skip(item.town, item.told)
        else:
            plan.take(item.town)
    return plan


def counts_of(run: BulkRun) -> Counter[str]:
    """How many items are in each state; one statement."""
    rows = run.items.order_by().values_list("state").annotate(Count("pk"))
    return Counter(dict(rows))


def _chunks(towns: QuerySet[Town]) -> Iterator[list[Town]]:
    found = towns.select_related("owner").order_by("pk").iterator(chunk_size=CHUNK)
    while chunk := list(islice(found, CHUNK)):
        yield chunk
