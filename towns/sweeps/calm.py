"""Storing the checks of towns that are well and were so before: nearly all of a sweep, so that each
costs next to nothing. Rows are plain values here, and no model is made of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from towns.bulk import insert_rows, update_columns
from towns.models import HealthCheck, Town
from towns.models.health import FIGURES
from towns.policy import Judgement, is_open
from towns.probe import HealthReport, Probe
from towns.rules import idle_rules
from towns.sweeps.tally import Tally
from towns.words import CheckResult, Status

_figures = attrgetter(*FIGURES)
_CHECK = (
    "town_id",
    "latency_ms",
    "heartbeat_at",
    *FIGURES,
    "last_interaction_at",
    "connected",
)


class Known(NamedTuple):
    """What the row of a town says that decides what a check of it changes."""

    pk: UUID
    machine_id: str
    region: str
    image: str
    status: str
    last_slot: datetime | None
    last_heartbeat_at: datetime | None
    last_backup_at: datetime | None
    consecutive_failures: int
    failure_kind: str
    episode_since: datetime | None
    flapping_since: datetime | None
    last_interaction_at: datetime | None
    websocket_seen_at: datetime | None
    websocket_message_at: datetime | None


@dataclass(frozen=True, slots=True)
class Calm:
    """A town that is well, as it was before, and what it said."""

    known: Known
    report: HealthReport
    latency_ms: int


def calm(known: Known, probe: Probe, judgement: Judgement) -> Calm | None:
    """The check, if all that it changes is that the town was well once more."""
    if judgement.result != CheckResult.OK or probe.report is None:
        return None
    if known.status != Status.RUNNING or known.consecutive_failures or known.failure_kind:
        return None
    if known.episode_since is not None or known.flapping_since is not None:
        return None
    return Calm(known, probe.report, probe.latency_ms)


def store_calm(seen: Sequence[Calm], tally: Tally, *, slot: datetime | None, now: datetime) -> None:
    """Write checks and towns, in one statement each. The caller has the towns locked."""
    alike = {"slot": slot, "checked_at": now, "result": CheckResult.OK, "kind": "", "reason": ""}
    insert_rows(HealthCheck, alike, _CHECK, list(_checks(seen, now)))
    update_columns(
        Town,
        [one.known.pk for one in seen],
        alike={
            "last_checked_at": now,
            "last_result": CheckResult.OK,
            "last_ok_at": now,
            **({} if slot is None else {"last_slot": slot}),
        },
        each={
            "health": [dict(zip(FIGURES, _figures(one.report), strict=True)) for one in seen],
            "last_heartbeat_at": [
                one.report.daemon_heartbeat_at or one.known.last_heartbeat_at for one in seen
            ],
            "last_backup_at": [_backup_at(one, now) for one in seen],
        },
    )
    for (region, image), towns in Counter((o.known.region, o.known.image) for o in seen).items():
        tally.count_well(region, image, towns)


def _checks(seen: Sequence[Calm], now: datetime) -> Iterator[tuple[Any, ...]]:
    rules = idle_rules()
    for one in seen:
        known, report = one.known, one.report
        yield (
            known.pk,
            one.latency_ms,
            report.daemon_heartbeat_at,
            *_figures(report),
            known.last_interaction_at,
            is_open(known.websocket_seen_at, known.websocket_message_at, now, rules),
        )


def _backup_at(one: Calm, now: datetime) -> datetime | None:
    known, told = one.known.last_backup_at, one.report.backup_at
    if told is None or told > now:
        return known
    return told if known is None else max(known, told)
