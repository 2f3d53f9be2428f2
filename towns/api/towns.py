"""Towns: list, show, create, change, and what a gateway tells of their owners."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from ninja import Query, Router, Schema
from ninja import Status as Answer
from pydantic import Field

from towns import actions, interactions
from towns.api.access import ApiRequest, Caller, visible_town
from towns.api.bearer import OWNER_HEADER
from towns.api.idempotency import Answered, once
from towns.api.paging import TOWNS, Page, Paging
from towns.api.problems import Problem, invalid
from towns.api.shapes import Change, Interaction, NewTown, TownOut, WhyOut
from towns.api.versions import etag_of, is_known, matching
from towns.changes import (
    UNSET,
    validated_changes,
    validated_idle_timeout,
    validated_name,
    validated_region,
)
from towns.models import Town
from towns.presenting import presentable, town_facts
from towns.scopes import Scope
from towns.tokens import owner_named
from towns.why import why
from towns.words import InteractionKind, Status

router = Router(tags=["towns"])
CHANGEABLE = (
    *("idle_timeout_minutes", "auto_stop", "keep_awake_minutes", "keep_awake_until"),
    *("hold_reason", "hold_until"),
)


class TownFilter(Schema):
    """Which towns; the destroyed ones are left out unless asked for by `status`."""

    status: Status | None = None
    owner: str | None = Field(None, max_length=150)
    region: str | None = Field(None, max_length=16)
    name: str | None = Field(None, max_length=40)


@router.get("/towns", response=Page[TownOut], summary="List towns")
def list_towns(
    request: ApiRequest, filters: Query[TownFilter], paging: Query[Paging]
) -> dict[str, Any]:
    """Owners see their own towns, staff all. Listing is no interaction."""
    caller = request.auth
    caller.needs(Scope.READ)
    found = presentable(Town.objects.all())
    if not caller.holds("view_town"):
        found = found.filter(owner=caller.user)
    if filters.owner is not None:
        found = found.filter(owner__username=filters.owner)
    if filters.status is None:
        found = found.exclude(status=Status.DESTROYED)
    for name in ("status", "region", "name"):
        if (value := getattr(filters, name)) is not None:
            found = found.filter(**{name: value})
    towns, cursor = TOWNS.page(found, paging)
    now = timezone.now()
    return {"items": [town_facts(town, now=now) for town in towns], "next_cursor": cursor}


@router.post("/towns", response={201: TownOut}, summary="Create a town")
def create_town(request: ApiRequest, body: NewTown) -> HttpResponse:
    """Make a town and begin to provision it."""
    caller = request.auth
    caller.needs(Scope.WRITE)

    def act() -> tuple[int, dict[str, Any]]:
        owner = _owner(caller, body.owner)
        if body.idle_timeout_minutes is not None:
            validated_idle_timeout(body.idle_timeout_minutes)
        requested = actions.create_town(
            owner,
            validated_name(body.name),
            actor=caller.actor,
            now=timezone.now(),
            region=validated_region(body.region),
            idle_timeout_minutes=body.idle_timeout_minutes,
        )
        return 201, shown(requested.operation.town_id)

    return once(request, caller, act)


def _owner(caller: Caller, username: str | None) -> User:
    if username == caller.user.get_username() or (username is None and not caller.is_machine):
        return caller.user
    if username is None:
        raise invalid("owner", f"Name the owner, or act for them with {OWNER_HEADER}.")
    caller.require("add_town")
    if caller.is_machine:
        owner = owner_named(username)
    else:
        owner = User.objects.filter(username=username).first()
    if owner is None:
        raise invalid("owner", f"There is no user {username}.")
    return owner


@router.get("/towns/{uuid:town_id}", response={200: TownOut, 304: None}, summary="Show a town")
def show_town(
    request: ApiRequest, response: HttpResponse, town_id: UUID, peek: bool = False
) -> Answer[dict[str, Any] | None]:
    """A visit when the owner looks: it counts as interaction and wakes a town that sleeps for being
    idle. `?peek=1` is for pollers and does neither. With `If-None-Match` 304 if nothing is new."""
    town = visible_town(request.auth, town_id)
    if noted(request.auth, town, InteractionKind.VISIT, peek=peek):
        town = visible_town(request.auth, town_id)
    facts = town_facts(town, now=timezone.now())
    response["ETag"] = tag = etag_of(town, facts)
    response["Cache-Control"] = "private, no-cache"
    return Answer(304, None) if is_known(request, tag) else Answer(200, facts)


@router.get("/towns/{uuid:town_id}/why", response=WhyOut, summary="Why a town is as it is")
def explain_town(request: ApiRequest, town_id: UUID, peek: bool = False) -> dict[str, Any]:
    """What it is, by which rule, what holds it, and what happens next and at what time. A call by
    the owner like any other; `?peek=1` is for pollers."""
    town = visible_town(request.auth, town_id)
    if noted(request.auth, town, InteractionKind.API, peek=peek):
        town = visible_town(request.auth, town_id)
    return why(town, timezone.now()).as_json()


@router.patch("/towns/{uuid:town_id}", response=TownOut, summary="Change a town")
def change_town(request: ApiRequest, town_id: UUID, body: Change) -> HttpResponse:
    """Change settings; each change is in the town's history. With `If-Match` only if the town is
    still as it was seen; else 412. One that is destroyed is restored first; else 409."""
    caller = request.auth
    caller.needs(Scope.WRITE)
    town = visible_town(caller, town_id)
    given = body.model_dump(exclude_unset=True)
    if not caller.owns(town) or {"hold_reason", "hold_until", "clear_restarts"} & given.keys():
        caller.require("change_town")

    def act() -> Answered:
        now = timezone.now()
        changes = _changes(given, town, now)
        with transaction.atomic(), matching(request, town_id):
            changed = actions.change_town(town_id, changes, actor=caller.actor, now=now)
        noted(caller, town, InteractionKind.API)
        facts = shown(town_id)
        return Answered(200, facts, etag_of(changed, facts))

    return once(request, caller, act)


def _changes(given: dict[str, Any], town: Town, now: datetime) -> dict[str, Any]:
    if given.get("hold_until") is not None:
        given = {"hold_reason": town.hold_reason, **given}
    for name in ("idle_timeout_minutes", "auto_stop"):
        if name in given and given[name] is None:
            raise invalid(name, "This can't be null.")
    wishes = {name: given.get(name, UNSET) for name in CHANGEABLE}
    clear = bool(given.get("clear_restarts", False))
    changes = validated_changes(now=now, clear_restarts=clear, **wishes)
    if not changes:
        raise Problem(422, "Nothing to change was given.", "invalid")
    return changes


@router.post(
    "/towns/{uuid:town_id}/interactions",
    response={200: TownOut, 202: TownOut},
    summary="Note the owner's traffic",
)
def interact(request: ApiRequest, town_id: UUID, body: Interaction) -> HttpResponse:
    """For a gateway that proxies the owner's traffic: touches, and wakes a town that sleeps for
    being idle (202). A WebSocket's reconnect wakes nothing: 409 with the reason."""
    caller = request.auth
    caller.needs(Scope.WRITE)
    town = visible_town(caller, town_id)
    if not caller.owns(town):
        caller.require("change_town")
    return once(request, caller, lambda: _interact(caller, town, body))


def _interact(caller: Caller, town: Town, body: Interaction) -> tuple[int, dict[str, Any]]:
    now = timezone.now()
    if body.kind == "websocket":
        interactions.refuse_if_asleep(town)
        see = interactions.websocket_message if body.message else interactions.websocket_seen
        see(town, now)
        return 200, town_facts(town, now=now)
    operation = interactions.visit(town, actor=caller.actor, kind=InteractionKind.GATEWAY, now=now)
    if operation is None:
        return 200, town_facts(town, now=now)
    return 202, shown(town.pk)


def noted(caller: Caller, town: Town, kind: InteractionKind, *, peek: bool = False) -> bool:
    """Count a call by the owner as interaction; returns whether it woke the town."""
    if peek or not caller.owns(town):
        return False
    return interactions.visit(town, actor=caller.actor, kind=kind, now=timezone.now()) is not None


def shown(town_id: UUID) -> dict[str, Any]:
    """A town as it is now."""
    town = presentable(Town.objects.filter(pk=town_id)).get()
    return town_facts(town, now=timezone.now())
