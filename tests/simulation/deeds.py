"""What the events of a plan do. A deed that makes no sense at the moment does nothing."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.world import Process
from towns import actions, automation, held, interactions, orphans
from towns.actions import NotAllowed
from towns.changes import validated_changes, validated_window
from towns.history import Actor
from towns.models import Alert, Backup, Freeze, Operation, Orphan, Town
from towns.services.errors import ServiceError
from towns.sweeps.comparison_alerts import DOUBT
from towns.sweeps.reconcile import sweep_reconcile
from towns.words import DesiredState, InteractionKind, OperationState, Status

from .plan import Event

if TYPE_CHECKING:
    from .simulation import Simulation

OWNER = Actor("owner", automatic=False)
STAFF = Actor("staff", automatic=False)
Deed = Callable[["Simulation", Town, Event], None]


def _ask(request: Callable[..., Any], actor: Actor = OWNER, **more: Any) -> Deed:
    def deed(sim: "Simulation", town: Town, event: Event) -> None:
        with suppress(NotAllowed):
            request(town.pk, actor=actor, now=sim.now, reason=event.what, **more)

    return deed


def _process(sim: "Simulation", town: Town) -> Process | None:
    for machine in sim.world.fly.machines_of(town.pk):
        if machine.process is not None and machine.process.alive:
            return machine.process
    return None


def visit(sim: "Simulation", town: Town, event: Event) -> None:
    """The owner looks at their town."""
    if town.destroyed_at is None:
        sim.truth.interacted(town.pk, sim.seq, sim.world.now)
    interactions.visit(town, actor=OWNER, kind=InteractionKind.VISIT, now=sim.now)


def websocket(sim: "Simulation", town: Town, event: Event) -> None:
    """A message through a WebSocket."""
    if town.destroyed_at is None:
        sim.truth.interacted(town.pk, sim.seq, sim.world.now)
        interactions.websocket_message(town, sim.now)


def work(sim: "Simulation", town: Town, event: Event) -> None:
    """Something is written in the town."""
    process = _process(sim, town)
    if process is not None and process.town_ready and not process.draining:
        sim.marks += 1
        mark = f"mark {sim.marks}"
        process.work(mark)
        if town.desired_state == DesiredState.DESTROYED or _is_given_up(town):
            sim.world.r2.forgiven.add(mark)
        else:
            sim.truth.wrote(town.pk, mark)


def _is_given_up(town: Town) -> bool:
    """Whether staff are having its volume replaced by its backup."""
    under_way = Operation.objects.filter(town=town, state=OperationState.OPEN)
    return any(operation.params.get("from_backup") for operation in under_way)


def polecats(sim: "Simulation", town: Town, event: Event) -> None:
    """Agents begin to work, for a while."""
    process = _process(sim, town)
    if process is not None and process.daemon_running:
        process.polecats_active = 2
        sim.truth.worked(town.pk, sim.seq, sim.world.now)
        sim.later(event.amount * 4, partial(_rest, sim, town, process))


def _rest(sim: "Simulation", town: Town, process: Process) -> None:
    process.polecats_active = 0
    sim.truth.rested(town.pk)


def keep_awake(sim: "Simulation", town: Town, event: Event) -> None:
    """The owner wants it awake for an hour."""
    _change(sim, town, keep_awake_minutes=60)


def auto_stop(sim: "Simulation", town: Town, event: Event) -> None:
    """The owner switches auto-stop off or on."""
    _change(sim, town, auto_stop=not town.auto_stop)


def hold(sim: "Simulation", town: Town, event: Event) -> None:
    """Staff look into it."""
    _change(sim, town, hold_reason="looking into it")


def release(sim: "Simulation", town: Town, event: Event) -> None:
    """Staff are done with it."""
    _change(sim, town, hold_reason="")


def clear_restarts(sim: "Simulation", town: Town, event: Event) -> None:
    """Staff let it be restarted again."""
    _change(sim, town, clear_restarts=True)


def _change(sim: "Simulation", town: Town, **wanted: Any) -> None:
    changes = validated_changes(now=sim.now, **wanted)
    with suppress(NotAllowed):  # it is destroyed
        actions.change_town(town.pk, changes, actor=STAFF, now=sim.now)


def idle(sim: "Simulation", town: Town, event: Event) -> None:
    """The work ends: nothing holds it any more but its idle timeout."""
    process = _process(sim, town)
    if process is not None:
        process.polecats_active = 0
        sim.truth.rested(town.pk)


def create(sim: "Simulation", town: Town, event: Event) -> None:
    """The owner makes another town."""
    sim.create_town()


def discard(sim: "Simulation", town: Town, event: Event) -> None:
    """Staff destroy it without a backup."""
    try:
        actions.request_destroy(town.pk, actor=STAFF, now=sim.now, discard=True)
    except NotAllowed:
        return
    sim.world.allow_discard(town)
    sim.truth.forgive(town.pk)


def freeze(sim: "Simulation", town: Town, event: Event) -> None:
    """Staff halt automation for some minutes."""
    until = sim.now + timedelta(seconds=event.amount)
    automation.freeze(Freeze.Scope.ALL, reason="storm", actor=STAFF, now=sim.now, until=until)


def thaw(sim: "Simulation", town: Town, event: Event) -> None:
    """Staff let automation go on."""
    for scope in Freeze.Scope.values:
        automation.thaw(scope, actor=STAFF, now=sim.now)


def start(sim: "Simulation", town: Town, event: Event) -> None:
    """Somebody starts it."""
    with suppress(NotAllowed):
        actions.request_start(town.pk, actor=OWNER, now=sim.now)
        if town.destroyed_at is None:
            sim.truth.interacted(town.pk, sim.seq, sim.world.now)


def recover(sim: "Simulation", town: Town, event: Event) -> None:
    """Staff have it recovered."""
    if town.status in (Status.ERROR, Status.UNHEALTHY):
        with suppress(NotAllowed):
            actions.request_recover(town.pk, actor=STAFF, now=sim.now)


def from_backup(sim: "Simulation", town: Town, event: Event) -> None:
    """Staff give its volume up and have it rebuilt from its backup."""
    try:
        asked = actions.request_recover(town.pk, actor=STAFF, now=sim.now, from_backup=True)
    except NotAllowed:
        return
    if asked.operation.params.get("from_backup"):
        sim.truth.volume_lost(sim.world, town.pk)


def window(sim: "Simulation", town: Town, event: Event) -> None:
    """Staff plan to work on it, or on its region, for some minutes."""
    wanted = validated_window(
        scope=f"town:{town.pk}" if event.amount < 1200 else f"region:{town.region}",
        since=None,
        until=sim.now + timedelta(seconds=event.amount),
        reason="moving hosts",
        now=sim.now,
    )
    automation.plan_window(**wanted, actor=STAFF, now=sim.now)


def confirm_orphans(sim: "Simulation", town: Town, event: Event) -> None:
    """Staff let every orphan go that is listed."""
    for orphan in Orphan.objects.filter(state=Orphan.State.REPORTED):
        with suppress(orphans.NotConfirmable):
            orphans.confirm(orphan.pk, actor=STAFF, now=sim.now)
            sim.truth.volume_confirmed(sim.world, orphan.fly_id)


def confirm_gone(sim: "Simulation", town: Town, event: Event) -> None:
    """Staff name a town whose machine or volume is not believed to be lost, since many are."""
    if Alert.objects.filter(cause=DOUBT, resolved_at=None).exists():
        sweep_reconcile(sim.ours.hosts[0], towns=[town])


def accept_held(sim: "Simulation", town: Town, event: Event) -> None:
    """Staff accept the small snapshot."""
    for backup in Backup.objects.filter(town=town, held=True, gone_at=None, dropped_at=None):
        with suppress(NotAllowed, ServiceError):
            held.accept_held(town, backup.snapshot, sim.ours.hosts[0], actor=STAFF)


def drop_held(sim: "Simulation", town: Town, event: Event) -> None:
    """Staff drop the small snapshot."""
    for backup in Backup.objects.filter(town=town, held=True, gone_at=None, dropped_at=None):
        with suppress(NotAllowed):
            held.drop_held(town, backup.snapshot, actor=STAFF, now=sim.now)


DEEDS: dict[str, Deed] = {
    "visit": visit,
    "websocket": websocket,
    "work": work,
    "polecats": polecats,
    "idle": idle,
    "keep_awake": keep_awake,
    "auto_stop": auto_stop,
    "hold": hold,
    "release": release,
    "clear_restarts": clear_restarts,
    "create": create,
    "start": start,
    "stop": _ask(actions.request_stop),
    "restart": _ask(actions.request_restart),
    "backup": _ask(actions.request_backup, STAFF),
    "destroy": _ask(actions.request_destroy),
    "restore": _ask(actions.request_restore),
    "recover": recover,
    "drill": _ask(actions.request_drill, STAFF),
    "from_backup": from_backup,
    "window": window,
    "confirm_orphans": confirm_orphans,
    "confirm_gone": confirm_gone,
    "accept_held": accept_held,
    "drop_held": drop_held,
    "discard": discard,
    "freeze": freeze,
    "thaw": thaw,
}
"""What people and towns do, by its name in a plan. The rest is in `troubles`."""
