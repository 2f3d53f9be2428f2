"""Replays that workers make: durable, part after part, for any size of fleet."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction

from towns.changes import InvalidChange
from towns.history import Actor
from towns.models import ReplayRun
from towns.replay import reading
from towns.replay.outcome import Totals
from towns.replay.run import prepare, validated_days
from towns.replay.scenario import scenario_with
from towns.replay.telling import verdict

PART = 50
"""Towns that are replayed and counted together."""
AT_ONCE = 3
"""So many are open at once, one a person: each reads the history of a fleet."""
ABANDONED = timedelta(minutes=15)
"""One that no worker went on with for so long is open no more."""


class TooManyReplays(Exception):
    """Another one must end, or be cancelled, first; the text says which."""


@transaction.atomic
def begin_run(
    changes: Sequence[str],
    *,
    days: int,
    actor: Actor,
    now: datetime,
    towns: Sequence[UUID] | None = None,
    region: str = "",
    sample: int | None = None,
) -> ReplayRun:
    """Have the `days` before now replayed, of named towns, of a region or of the whole fleet, at
    most `sample` of them. Town ids are random, so the first ones are a fair sample.

    Raises InvalidChange where a change or the days make no sense, and TooManyReplays.
    """
    scenario = scenario_with(changes)
    _make_room(actor, now)
    since = now - timedelta(days=validated_days(days))
    total = reading.towns_of(since, towns, region).count()
    run = ReplayRun.objects.create(
        changes=scenario.described(),
        days=days,
        towns=[str(town) for town in towns or ()],
        region=region,
        sample=sample,
        actor=actor.name,
        user_id=actor.user_id,
        created_at=now,
        went_on_at=now,
        total=min(total, sample or total),
    )
    transaction.on_commit(lambda: call_worker(run.pk), robust=True)
    return run


def _make_room(actor: Actor, now: datetime) -> None:
    """Whoever asks twice at once waits here for themselves."""
    if actor.user_id is not None:
        User.objects.select_for_update().filter(pk=actor.user_id).first()
    open_ones = ReplayRun.objects.filter(state=ReplayRun.State.OPEN)
    open_ones.filter(went_on_at__lt=now - ABANDONED).update(
        state=ReplayRun.State.FAILED,
        finished_at=now,
        result="No worker went on with it. See whether workers run (`manage.py qcluster`).",
    )
    running = list(open_ones.order_by("created_at"))
    for one in running:
        if actor.user_id is not None and one.user_id == actor.user_id:
            told = f"Your replay of {one} is still under way. Wait for it, or cancel it."
            raise TooManyReplays(told)
    if len(running) >= AT_ONCE:
        names = ", ".join(one.actor for one in running)
        told = f"{len(running)} replays are under way already, asked for by {names}."
        raise TooManyReplays(f"{told} Wait until one ends, or have one cancelled.")


def cancel_run(run_id: UUID, *, actor: Actor, now: datetime) -> bool:
    """End one that is open: its worker stops after the part that it is at. What it has found is
    kept. False if it has ended already."""
    open_one = ReplayRun.objects.filter(pk=run_id, state=ReplayRun.State.OPEN)
    values = {"finished_at": now, "result": f"It was cancelled by {actor.name}."}
    return open_one.update(state=ReplayRun.State.CANCELLED, **values) == 1


def call_worker(run_id: UUID) -> None:
    """Enqueue the task that goes on with a run."""
    from django_q.tasks import async_task  # here, since it reads the broker's settings

    async_task("towns.tasks.go_on_with_replay", str(run_id))


def go_on(run_id: UUID, clock: Callable[[], datetime], *, enough: Callable[[], bool]) -> bool:
    """Replay part after part until `enough` says so; whether there is nothing left to do here.

    Whoever does it twice at once counts nothing twice: a part is only added to what it began with.
    A run that can't be made any more, since the settings have changed, fails with the reason.
    """
    run = ReplayRun.objects.filter(pk=run_id).first()
    if run is None or not run.is_open:
        return True
    try:
        scenario = scenario_with(run.changes)
        ready = prepare(scenario, now=run.created_at, days=run.days)
    except InvalidChange as error:
        _close(run, ReplayRun.State.FAILED, clock(), result=error.message)
        return True
    found = reading.towns_of(ready.since, [UUID(t) for t in run.towns] or None, run.region)
    totals = Totals.from_json(run.counted)
    while count := _room(run):
        towns = reading.next_towns(found, run.after, count)
        if not towns:
            break
        for one in ready.outcomes(towns):
            totals.add(one, scenario.wrong_within, named=bool(run.towns))
        if not _keep(run, totals, towns[-1].pk, len(towns), clock()):
            return True
        if enough():
            return False
    _close(run, ReplayRun.State.SUCCEEDED, clock(), result=verdict(totals))
    return True


def _room(run: ReplayRun) -> int:
    return PART if run.sample is None else min(PART, run.sample - run.done)


def _keep(run: ReplayRun, totals: Totals, after: UUID, count: int, now: datetime) -> bool:
    """Keep a part; False when somebody else was faster."""
    mine = ReplayRun.objects.filter(pk=run.pk, after=run.after, state=ReplayRun.State.OPEN)
    values = {
        "counted": totals.as_json(),
        "after": after,
        "done": run.done + count,
        "went_on_at": now,
    }
    if mine.update(**values) != 1:
        return False
    for name, value in values.items():
        setattr(run, name, value)
    return True


def _close(run: ReplayRun, state: str, now: datetime, *, result: str) -> None:
    open_one = ReplayRun.objects.filter(pk=run.pk, after=run.after, state=ReplayRun.State.OPEN)
    open_one.update(state=state, finished_at=now, result=result)
