"""What holds automation back, and the red button: for staff."""

from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from ninja import Router

from towns import automation
from towns.api.access import ApiRequest, Caller
from towns.api.automation_shapes import AutomationOut, FailuresOut, FreezeWish, ThawWish, WindowWish
from towns.api.idempotency import once
from towns.api.problems import Problem, invalid
from towns.causes import failure_facts, grouped
from towns.changes import (
    FREEZE_MAX_MINUTES,
    WINDOW_MAX_MINUTES,
    validated_minutes,
    validated_reason,
    validated_window,
)
from towns.lookup import UnknownTown, find_scope
from towns.presenting import standing_facts
from towns.scopes import Scope
from towns.standing import read_standing

router = Router(tags=["automation"])
PERMISSION = "freeze_automation"


@router.get("/automation", response=AutomationOut, summary="What holds automation back")
def show(request: ApiRequest) -> dict[str, Any]:
    """Freezes, open breakers, and maintenance windows that stand or are to come."""
    if not request.auth.holds(PERMISSION):
        request.auth.require("view_freeze")
    return _shown(timezone.now())


@router.post("/automation/freeze", response=AutomationOut, summary="Freeze automation")
def freeze(request: ApiRequest, body: FreezeWish) -> HttpResponse:
    """Halt automatic actions. The watching goes on, and what people ask for is done."""
    caller, now = _allowed(request), timezone.now()

    def act() -> tuple[int, dict[str, Any]]:
        automation.freeze(
            body.scope,
            reason=validated_reason(body.reason),
            actor=caller.actor,
            now=now,
            until=validated_minutes(body.minutes, now, "minutes", FREEZE_MAX_MINUTES),
        )
        return 200, _shown(now)

    return once(request, caller, act)


@router.post("/automation/thaw", response=AutomationOut, summary="Thaw automation")
def thaw(request: ApiRequest, body: ThawWish) -> HttpResponse:
    """Let automatic actions go on; where nothing is frozen, nothing is changed."""
    caller, now = _allowed(request), timezone.now()

    def act() -> tuple[int, dict[str, Any]]:
        automation.thaw(body.scope, actor=caller.actor, now=now)
        return 200, _shown(now)

    return once(request, caller, act)


@router.post(
    "/automation/windows", response={201: AutomationOut}, summary="Plan a maintenance window"
)
def plan(request: ApiRequest, body: WindowWish) -> HttpResponse:
    """Keep automatic actions away from the fleet, a region, an image or a town for a time."""
    caller, now = _allowed(request), timezone.now()

    def act() -> tuple[int, dict[str, Any]]:
        if body.until is not None and body.minutes is not None:
            raise invalid("until", "Give either until or minutes, not both.")
        begins = body.since or now
        until = body.until or validated_minutes(body.minutes, begins, "minutes", WINDOW_MAX_MINUTES)
        try:
            scope = find_scope(body.scope)
        except UnknownTown as error:
            raise invalid("scope", str(error)) from error
        window = validated_window(
            scope=scope, since=begins, until=until, reason=body.reason, now=now
        )
        automation.plan_window(**window, actor=caller.actor, now=now)
        return 201, _shown(now)

    return once(request, caller, act)


@router.post(
    "/automation/windows/{int:window_id}/end",
    response=AutomationOut,
    summary="End a maintenance window",
)
def end(request: ApiRequest, window_id: int) -> HttpResponse:
    """End it before its time."""
    caller, now = _allowed(request), timezone.now()

    def act() -> tuple[int, dict[str, Any]]:
        if not automation.end_window(window_id, actor=caller.actor, now=now):
            raise Problem(404, "There is no such window, or it has ended already.")
        return 200, _shown(now)

    return once(request, caller, act)


@router.get("/failures", response=FailuresOut, summary="What fails now, grouped by cause")
def failures(request: ApiRequest) -> dict[str, Any]:
    """What the failing towns have in common: image, region, host, kind of failure, beginning."""
    request.auth.require("view_town")
    request.auth.needs(Scope.FLEET)
    return failure_facts(*grouped())


def _allowed(request: ApiRequest) -> Caller:
    request.auth.require(PERMISSION)
    return request.auth


def _shown(now: datetime) -> dict[str, Any]:
    return standing_facts(read_standing(now))
