"""The actions on a town: each answers 202 with the operation that does it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from ninja import Router

from towns import actions, interactions
from towns.actions import Requested
from towns.api.access import ApiRequest, Caller, visible_town
from towns.api.idempotency import once
from towns.api.problems import invalid
from towns.api.shapes import DestroyWish, OperationOut, RecoverWish, Wish
from towns.api.versions import matching
from towns.models import Town
from towns.presenting import operation_facts
from towns.words import InteractionKind, OperationKind

router = Router(tags=["actions"])
ANSWER = {202: OperationOut}
Ask = Callable[[Caller, Town], Requested]


def _do(request: ApiRequest, town_id: UUID, kind: OperationKind, ask: Ask) -> HttpResponse:
    """See who asks, count it as interaction when it is the owner, and ask for the operation."""
    caller = request.auth
    town = visible_town(caller, town_id)
    caller.require_for(town, kind)

    def act() -> tuple[int, dict[str, Any]]:
        with matching(request, town_id):
            requested = ask(caller, town)
        if caller.owns(town) and kind != OperationKind.DESTROY:
            interactions.touch(town, kind=InteractionKind.API, now=timezone.now())
        return 202, {**operation_facts(requested.operation), "note": requested.note}

    return once(request, caller, act)


@router.post("/towns/{uuid:town_id}/start", response=ANSWER, summary="Start a town")
def start(request: ApiRequest, town_id: UUID, body: Wish | None = None) -> HttpResponse:
    """Start it, or have it started when the operation under way has ended."""
    return _do(request, town_id, OperationKind.START, _simple(actions.request_start, body))


@router.post("/towns/{uuid:town_id}/stop", response=ANSWER, summary="Stop a town")
def stop(request: ApiRequest, town_id: UUID, body: Wish | None = None) -> HttpResponse:
    """Back it up and stop it; it stays stopped until somebody asks."""
    return _do(request, town_id, OperationKind.STOP, _simple(actions.request_stop, body))


@router.post("/towns/{uuid:town_id}/restart", response=ANSWER, summary="Restart a town")
def restart(request: ApiRequest, town_id: UUID, body: Wish | None = None) -> HttpResponse:
    """Restart its machine."""
    return _do(request, town_id, OperationKind.RESTART, _simple(actions.request_restart, body))


@router.post("/towns/{uuid:town_id}/backup", response=ANSWER, summary="Back a town up")
def backup(request: ApiRequest, town_id: UUID, body: Wish | None = None) -> HttpResponse:
    """Have it backed up now."""
    return _do(request, town_id, OperationKind.BACKUP, _simple(actions.request_backup, body))


@router.post("/towns/{uuid:town_id}/restore", response=ANSWER, summary="Restore a town")
def restore(request: ApiRequest, town_id: UUID, body: Wish | None = None) -> HttpResponse:
    """Bring a destroyed town back, as long as its backup is kept."""
    return _do(request, town_id, OperationKind.RESTORE, _simple(actions.request_restore, body))


@router.post("/towns/{uuid:town_id}/recover", response=ANSWER, summary="Recover a town")
def recover(request: ApiRequest, town_id: UUID, body: RecoverWish | None = None) -> HttpResponse:
    """Rebuild what is provably lost of it. For staff."""

    def ask(caller: Caller, town: Town) -> Requested:
        return actions.request_recover(
            town.pk,
            actor=caller.actor,
            now=timezone.now(),
            reason=body.reason if body else "",
            from_backup=body.from_backup if body else False,
        )

    return _do(request, town_id, OperationKind.RECOVER, ask)


@router.post("/towns/{uuid:town_id}/destroy", response=ANSWER, summary="Destroy a town")
def destroy(request: ApiRequest, town_id: UUID, body: DestroyWish) -> HttpResponse:
    """Destroy it after a last backup, which is kept for a while. Type its name in `confirm`."""

    def ask(caller: Caller, town: Town) -> Requested:
        if body.confirm != town.name:
            raise invalid("confirm", f"Type the town's name, {town.name}, to have it destroyed.")
        if body.discard:
            caller.require("discard_town")
        return actions.request_destroy(
            town.pk,
            actor=caller.actor,
            now=timezone.now(),
            reason=body.reason,
            discard=body.discard,
        )

    return _do(request, town_id, OperationKind.DESTROY, ask)


def _simple(request: Callable[..., Requested], body: Wish | None) -> Ask:
    def ask(caller: Caller, town: Town) -> Requested:
        return request(
            town.pk, actor=caller.actor, now=timezone.now(), reason=body.reason if body else ""
        )

    return ask
