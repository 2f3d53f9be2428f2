"""What the failing towns have in common, so that a cause is seen before forty restarts.

`group_failures` is pure; `failing_now` reads what it takes, in at most three statements. The
database adds up those that fail alike, so that a lost region is some hundreds of rows and not
twenty thousand.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, Max, Min, QuerySet, Window
from django.db.models.functions import RowNumber, TruncSecond

from towns.models import Town
from towns.presenting import iso
from towns.readable import utc
from towns.words import ACTIVE, Status

FAILING = frozenset({*ACTIVE, Status.RESTARTING, Status.RECOVERING, Status.ERROR})
KEPT_SECONDS = 30
KEY = "towns.causes.totals"
NAMED = 10
"""As many towns of a group are named."""


class By(StrEnum):
    """What failing towns may share."""

    REGION = "region"
    IMAGE = "image"
    HOST = "host"
    KIND = "failure kind"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Failing:
    """Towns in episodes that began together and are alike; `towns` names some of them. What isn't
    known of them is empty."""

    since: datetime
    towns: tuple[str, ...] = ()
    count: int = 1
    until: datetime | None = None
    """When the last of the episodes began, where that isn't `since`."""
    region: str = ""
    image: str = ""
    host: str = ""
    kind: str = ""

    @property
    def last_since(self) -> datetime:
        """When the last of the episodes began."""
        return self.until or self.since


@dataclass(frozen=True, slots=True)
class Group:
    """Failing towns that share something; `of` is how many towns there are that share it, or None
    where that isn't known."""

    by: By
    value: str
    failing: int
    first_since: datetime
    last_since: datetime
    towns: tuple[str, ...]
    of: int | None = None
    all_of_them: bool = False
    """Whether every town that fails is in it."""

    @property
    def share(self) -> float:
        """How much of what shares it fails; unknown counts as none."""
        return self.failing / self.of if self.of else 0.0

    def as_json(self) -> dict[str, Any]:
        """Ready for `json.dumps`."""
        return {
            "by": self.by.value,
            "value": self.value,
            "failing": self.failing,
            "of": self.of,
            "all_of_them": self.all_of_them,
            "first_since": iso(self.first_since),
            "last_since": iso(self.last_since),
            "towns": list(self.towns),
        }

    def __str__(self) -> str:
        of = f" of its {self.of}" if self.of else ""
        alike = ", all that fail" if self.all_of_them else ""
        began = utc(self.first_since)
        if self.last_since != self.first_since:
            began = f"{began} to {self.last_since:%H:%M:%S}"
        what = "same time" if self.by == By.TIME else f"{self.by} {self.value}"
        return f"{what}: {self.failing}{of} towns fail{alike}, since {began}"


def group_failures(
    failing: Sequence[Failing],
    totals: Mapping[tuple[By, str], int] | None = None,
    *,
    together: timedelta = timedelta(minutes=6),
) -> list[Group]:
    """What at least two failing towns share, the most telling first.

    Telling is what all of them share, then what most of them do, then what the fewest others share
    with them. Episodes that began within `together` of one another began at the same time; what is
    unknown is shared by nobody.
    """
    totals = totals or {}
    everybody = number_of(failing)
    groups = [
        _group(by, value, members, everybody, totals.get((by, value)))
        for (by, value), members in [*_by_value(failing).items(), *_by_time(failing, together)]
        if number_of(members) > 1
    ]
    return sorted(groups, key=lambda one: (-one.failing, -one.share, one.by != By.IMAGE, one.by))


def number_of(failing: Iterable[Failing]) -> int:
    """How many towns those are."""
    return sum(one.count for one in failing)


def failing_now(*, named: bool) -> tuple[list[Failing], dict[tuple[By, str], int]]:
    """The towns in an episode, by the second in which it began, and how many living towns each
    region and image has. Looking for names is half of the cost."""
    in_episode = Town.objects.filter(episode_since__isnull=False, status__in=FAILING).order_by()
    cells = list(
        in_episode.annotate(second=TruncSecond("episode_since"))
        .values_list("region", "image", "failure_kind", "second")
        .annotate(Count("id"), Min("episode_since"), Max("episode_since"))
    )
    if not cells:
        return [], {}
    names = _named(in_episode) if named else {}
    failing = []
    for region, image, kind, second, count, since, until in cells:
        towns = tuple(names.get((region, image, kind), {}).get(second, ()))
        failing.append(Failing(since, towns, count, until, region=region, image=image, kind=kind))
    return sorted(failing, key=lambda one: one.since), _totals()


def _totals() -> dict[tuple[By, str], int]:
    """How many towns each region and image has, at most `KEPT_SECONDS` old: all are counted."""
    kept: dict[tuple[By, str], int] | None = cache.get(KEY)
    if kept is not None:
        return kept
    totals: dict[tuple[By, str], int] = defaultdict(int)
    counted = Town.objects.filter(status__in=FAILING).order_by().values("region", "image")
    for row in counted.annotate(towns=Count("id")):
        totals[By.REGION, row["region"]] += row["towns"]
        totals[By.IMAGE, row["image"]] += row["towns"]
    cache.set(KEY, dict(totals), KEPT_SECONDS)
    return dict(totals)


def _named(in_episode: QuerySet[Town]) -> dict[Any, dict[datetime, list[str]]]:
    """The names of the first towns of each kind of failure, by second."""
    first = in_episode.annotate(
        place=Window(
            RowNumber(),
            partition_by=["region", "image", "failure_kind"],
            order_by=["episode_since", "id"],
        )
    ).filter(place__lte=NAMED)
    found: dict[Any, dict[datetime, list[str]]] = defaultdict(lambda: defaultdict(list))
    rows = first.order_by("place").values_list(
        "region", "image", "failure_kind", "episode_since", "owner__username", "name"
    )
    for *alike, since, owner, name in rows:
        if since is not None:
            found[tuple(alike)][since.replace(microsecond=0)].append(f"{owner}/{name}")
    return found


def grouped(*, named: bool = True) -> tuple[list[Failing], list[Group]]:
    """The towns that fail now, and what they share; groups are `named` after some of theirs."""
    failing, totals = failing_now(named=named)
    together = timedelta(seconds=2 * settings.GASTOWN_HEALTH_PERIOD_SECONDS)
    return failing, group_failures(failing, totals, together=together)


def failure_facts(failing: Sequence[Failing], groups: Sequence[Group]) -> dict[str, Any]:
    """What fails now, grouped. Ready for `json.dumps`."""
    return {"failing": number_of(failing), "groups": [one.as_json() for one in groups]}


def _by_value(failing: Iterable[Failing]) -> dict[tuple[By, str], list[Failing]]:
    found: dict[tuple[By, str], list[Failing]] = defaultdict(list)
    for one in failing:
        shared = {
            By.REGION: one.region,
            By.IMAGE: one.image,
            By.HOST: one.host,
            By.KIND: one.kind,
        }
        for by, value in shared.items():
            if value:
                found[by, value].append(one)
    return found


def _by_time(
    failing: Iterable[Failing], together: timedelta
) -> list[tuple[tuple[By, str], list[Failing]]]:
    runs: list[list[Failing]] = []
    for one in sorted(failing, key=lambda one: one.since):
        if runs and one.last_since - runs[-1][0].since <= together:
            runs[-1].append(one)
        else:
            runs.append([one])
    return [((By.TIME, iso(run[0].since) or ""), run) for run in runs]


def _group(by: By, value: str, members: Sequence[Failing], everybody: int, of: int | None) -> Group:
    count = number_of(members)
    named = [town for one in members for town in one.towns]
    return Group(
        by=by,
        value=value,
        failing=count,
        first_since=min(one.since for one in members),
        last_since=max(one.last_since for one in members),
        towns=tuple(named[:NAMED]),
        of=of,
        all_of_them=count == everybody,
    )
