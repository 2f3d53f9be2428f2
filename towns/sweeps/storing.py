"""Storing what came of probing some towns, in a fixed number of statements."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from towns import history
from towns.bulk import update_rows
from towns.models import HealthCheck, LifecycleEvent, Operation, Town
from towns.policy import Judgement
from towns.rules import health_rules
from towns.sweeps.calm import Calm, Known, calm, store_calm
from towns.sweeps.flaps import Flaps
from towns.sweeps.observing import Observation
from towns.sweeps.strikes import ACTOR, SAVED, apply_check, new_check
from towns.sweeps.tally import Tally
from towns.sweeps.warnings import Warned, update_warnings
from towns.words import ACTIVE, CheckResult, FailureKind, Status

_BEGAN = Judgement(
    CheckResult.UNKNOWN, FailureKind.OPERATION_BEGAN, "An operation began meanwhile."
)


@transaction.atomic
def store(observations: Sequence[Observation], *, slot: datetime | None, now: datetime) -> Tally:
    """Store checks, count strikes, change statuses with their events, all in one transaction.

    1. Lock the towns and read them again: what an operation owns by now is unknown.
    2. Decide each; whoever has a check for the slot already is skipped.
    3. Write checks, events and towns in bulk: those that are well as before, and the rest.
    """
    tally = Tally()
    ids: list[Any] = [str(one.town.pk) for one in observations]
    known = _lock(ids)
    taken = set(Operation.owning().filter(town__any_of=ids).values_list("town_id", flat=True))
    well: list[Calm] = []
    rest: list[tuple[Observation, Judgement]] = []
    for one in observations:
        row = known[one.town.pk]
        if slot is not None and row.last_slot == slot:
            tally.results["skipped"] += 1
            continue
        judgement = _BEGAN if _is_taken(row, one, taken) else one.judgement
        found = calm(row, one.probe, judgement)
        if found is None:
            rest.append((one, judgement))
        else:
            well.append(found)
    if well:
        store_calm(well, tally, slot=slot, now=now)
    warned = [Warned(one.known.pk, one.report) for one in well]
    if rest:
        warned += _store_rest(rest, tally, slot=slot, now=now)
    update_warnings(warned, now)
    return tally


def _lock(ids: Sequence[str]) -> dict[UUID, Known]:
    """By id, so that no two who lock many wait for each other."""
    rows = Town.objects.select_for_update(no_key=True).filter(pk__any_of=ids).order_by("pk")
    return {row[0]: Known._make(row) for row in rows.values_list(*Known._fields)}


def _is_taken(row: Known, asked: Observation, taken: Collection[UUID]) -> bool:
    is_another = Status(row.status) not in ACTIVE or row.machine_id != asked.town.machine_id
    return row.pk in taken or is_another


def _store_rest(
    seen: Sequence[tuple[Observation, Judgement]],
    tally: Tally,
    *,
    slot: datetime | None,
    now: datetime,
) -> list[Warned]:
    """Those that fail, failed before or are unknown; returns who says something of itself."""
    towns = Town.objects.in_bulk([one.town.pk for one, _ in seen])
    changed, checks, events, warned = [], [], [], []
    flaps, rules = Flaps(ACTOR, now), health_rules()
    for one, judgement in seen:
        town = towns[one.town.pk]
        check = new_check(town, one.probe, judgement, slot, now)
        tally.count(
            judgement,
            region=town.region,
            image=town.image,
            failing=town.consecutive_failures > 0,
        )
        event = apply_check(town, check, one.probe.report, rules, flaps, now)
        changed.append(town)
        checks.append(check)
        if event is not None:
            events.append((town, event))
        if judgement.result == CheckResult.OK and one.probe.report is not None:
            warned.append(Warned(town.pk, one.probe.report))
    HealthCheck.objects.bulk_create(checks)
    LifecycleEvent.objects.bulk_create([*(event for _, event in events), *flaps.events])
    for town, event in events:
        if event.to_status:
            history.apply_status(town, event)
    update_rows(changed, SAVED)
    flaps.save()
    return warned
