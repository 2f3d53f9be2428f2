"""What a card and a town's page show, read in a fixed number of statements."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import User
from django.core.paginator import Page, Paginator
from django.db.models import Case, Q, When

from towns.alerts.causes import words
from towns.api.access import OWNER_MAY
from towns.dashboard.wording import WARN_LATE, Progress, plan_of, progress_of, state_of, warning_of
from towns.display import tone
from towns.facts import idle_facts
from towns.models import Alert, Operation, Town
from towns.models.town import LIVING
from towns.policy import awake_because, idle_stop_at
from towns.presenting import open_operation, presentable
from towns.preview import preview
from towns.readable import ago, duration, size, used
from towns.rules import idle_rules, retention
from towns.words import ACTIVE, BESIDE, OperationKind, Status

LABELS = {
    OperationKind.START: "Start",
    OperationKind.STOP: "Stop",
    OperationKind.RESTART: "Restart",
    OperationKind.BACKUP: "Back up now",
    OperationKind.RESTORE: "Restore",
}


@dataclass(frozen=True, slots=True)
class Button:
    """Something that the owner can ask for; `why_not` is set where they can't now."""

    kind: OperationKind
    label: str
    told: str
    why_not: str = ""


PER_PAGE = 24
"""Towns on a page. What is shown at once is listened to at once, which has its limit."""


@dataclass(frozen=True, slots=True)
class Card:
    """One town as its owner sees it."""

    town: Town
    state: str
    tone: str
    why: str
    plan: str
    warning: str
    urgent: bool
    progress: Progress | None
    buttons: list[Button]
    refused: list[Button]
    alerts: list[str]
    backup: str
    disk: str
    polecats: str
    kept: str
    """Of a destroyed town: for how long it can be restored."""

    @property
    def busy(self) -> bool:
        """Whether something goes on."""
        return self.progress is not None


@dataclass(frozen=True, slots=True)
class Towns:
    """A page of an owner's towns; `wanted` is what was looked for in their names."""

    cards: list[Card]
    page: Page[Town]
    wanted: str


def own_towns(owner: User, now: datetime, *, wanted: str = "", page: str = "") -> Towns:
    """A page of the cards of their living towns, then of the destroyed ones that can still be
    restored; of those with `wanted` in their name. A page that there is not is the nearest."""
    restorable = Q(destroyed_at__gt=now - retention())
    towns = Town.objects.filter(restorable | ~Q(status=Status.DESTROYED), owner=owner)
    if wanted:
        towns = towns.filter(name__contains=wanted.lower())
    gone = Case(When(status=Status.DESTROYED, then=1), default=0)
    ordered = presentable(towns).order_by(gone, "status", "-created_at", "pk")
    found = Paginator(ordered, PER_PAGE).get_page(page)
    return Towns(_cards(list(found), now), found, wanted)


def own_town(owner: User, town_id: UUID, now: datetime) -> Card | None:
    """The card of one of their towns; None if it is not theirs, or is no more."""
    towns = list(presentable(Town.objects.filter(owner=owner, pk=town_id)))
    return _cards(towns, now)[0] if towns else None


def _cards(towns: Sequence[Town], now: datetime) -> list[Card]:
    alerts = defaultdict(list)
    for alert in Alert.objects.filter(town__in=towns, resolved_at=None).order_by("-id"):
        alerts[alert.town_id].append(f"It {words(alert.cause).owner}.")
    taken = _names_taken([town for town in towns if town.destroyed_at is not None])
    return [_card(town, alerts[town.pk], taken, now) for town in towns]


def _names_taken(destroyed: Sequence[Town]) -> set[str]:
    """Which of their names a living town of the same owner has by now."""
    if not destroyed:
        return set()
    names = [town.name for town in destroyed]
    living = Town.objects.filter(LIVING, owner=destroyed[0].owner, name__in=names)
    return set(living.values_list("name", flat=True))


def _card(town: Town, alerts: list[str], names: set[str], now: datetime) -> Card:
    facts, rules = idle_facts(town), idle_rules()
    awake = Status(town.status) in ACTIVE
    held = awake_because(facts, now, rules) if awake else []
    stop_at = idle_stop_at(facts, now, rules) if awake else None
    operation = open_operation(town)
    if operation is not None and operation.kind in BESIDE:
        operation = None  # a drill is no business of theirs
    buttons = _buttons(town, operation, names, now)
    destroyed = town.status == Status.DESTROYED
    left = town.restore_until - now if town.restore_until and destroyed else None
    return Card(
        town=town,
        state=state_of(town),
        tone=tone(town.status),
        why=town.status_reason if town.status in (Status.ERROR, Status.UNHEALTHY) else "",
        plan=plan_of(town, stop_at, held, now),
        warning=warning_of(stop_at, now),
        urgent=stop_at is not None and stop_at - now <= WARN_LATE,
        progress=None if operation is None else progress_of(operation),
        buttons=[one for one in buttons if not one.why_not],
        refused=[one for one in buttons if one.why_not],
        alerts=list(dict.fromkeys(alerts)),
        backup=ago(town.last_backup_at, now),
        disk=used(town.figure("disk_used"), town.figure("disk_total")),
        polecats=_polecats(town),
        kept="" if left is None else _kept(left),
    )


def _kept(left: timedelta) -> str:
    if left <= timedelta(0):
        return "The time of its last backup is over: it can't be restored any more."
    days = f"{left.days} day{'s' * (left.days != 1)}"
    told = days if left.days else duration(left.total_seconds())
    return f"Its last backup is kept for {told} more; until then it can be restored."


def _buttons(
    town: Town, operation: Operation | None, names: set[str], now: datetime
) -> list[Button]:
    found = []
    for kind, label in LABELS.items():
        if kind not in OWNER_MAY:
            continue
        if (kind == OperationKind.RESTORE) != (town.destroyed_at is not None):
            continue
        taken = kind == OperationKind.RESTORE and town.name in names
        told = preview(kind, town, operation, now, name_taken=taken)
        found.append(Button(kind, label, told.text, "" if told.allowed else told.text))
    return found


def _polecats(town: Town) -> str:
    active = town.figure("polecats_active")
    return "unknown" if active is None else str(active)


def stakes_of(town: Town, now: datetime) -> list[str]:
    """What a destroy puts at stake."""
    return [
        f"Data on its disk: {size(town.figure('disk_used'))}.",
        f"Last backup: {ago(town.last_backup_at, now)}. It is backed up once more before it goes.",
        f"Agents at work: {_polecats(town)}.",
    ]
