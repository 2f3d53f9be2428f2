"""`GET /fleet`: the overview as figures."""

from typing import Any

from django.utils import timezone
from ninja import Router, Schema

from towns.api.access import ApiRequest
from towns.api.automation_shapes import AutomationOut
from towns.overview.attention import read_attention
from towns.overview.fleet import read_fleet
from towns.overview.work import read_platforms, read_restarts, read_sweeps, read_under_way
from towns.presenting import iso, standing_facts
from towns.replay.wrong_stops import recent_wrong_stop_rate
from towns.standing import read_standing

router = Router(tags=["fleet"])


class OperationsOut(Schema):
    """Operations under way; `due` wait for a worker, the first of them for `due_seconds`."""

    under_way: int
    due: int
    due_seconds: float | None


class SweepOut(Schema):
    """The last sweep of a kind that was done."""

    kind: str
    slot: str | None
    seconds: float | None
    lag_seconds: float | None
    towns: int
    late: bool


class PlatformOut(Schema):
    """How Fly or R2 answered the last sweep that asked; `well` is null if none did yet."""

    name: str
    well: bool | None
    told: str
    at: str | None


class CaseOut(Schema):
    """What needs a person; `town` is null for the fleet as a whole."""

    town: str | None
    status: str | None
    since: str
    reasons: list[str]


class FleetOut(Schema):
    """The state of the fleet."""

    at: str
    towns: int
    by_status: dict[str, int]
    alerts_open: dict[str, int]
    stuck: int
    operations: OperationsOut
    restarts: dict[str, int]
    sweeps: list[SweepOut]
    platforms: list[PlatformOut]
    hours_saved: float
    wrong_stop_share: float | None
    automation: AutomationOut
    attention: list[CaseOut]


@router.get("/fleet", response=FleetOut, summary="The state of the fleet")
def fleet(request: ApiRequest) -> dict[str, Any]:
    """Towns by status, what needs a person first, operations, restarts and sweeps. For staff, and
    for machines with `fleet:read`. Figures may be some seconds old."""
    caller = request.auth
    caller.require("view_fleet" if caller.token else "view_town")
    now = timezone.now()
    towns, attention = read_fleet(now), read_attention(now)
    under_way, restarts = read_under_way(now), read_restarts(now)
    due = under_way.longest_due
    return {
        "at": iso(now),
        "towns": towns.total,
        "by_status": {status.value: count for status, count in towns.statuses},
        "alerts_open": {"critical": attention.critical, "warning": attention.warnings},
        "stuck": attention.stuck,
        "operations": {
            "under_way": under_way.total,
            "due": under_way.due,
            "due_seconds": None if due is None else due.total_seconds(),
        },
        "restarts": {
            "under_way": restarts.under_way,
            "at_once": restarts.at_once,
            "in_window": restarts.in_window,
        },
        "sweeps": [
            {
                "kind": one.kind,
                "slot": iso(one.slot),
                "seconds": one.seconds,
                "lag_seconds": None if one.lag is None else one.lag.total_seconds(),
                "towns": one.towns,
                "late": one.late,
            }
            for one in read_sweeps(now)
        ],
        "platforms": [
            {"name": one.name, "well": one.well, "told": one.told, "at": iso(one.at)}
            for one in read_platforms()
        ],
        "hours_saved": towns.saved.hours,
        "wrong_stop_share": recent_wrong_stop_rate(now).share,
        "automation": standing_facts(read_standing(now)),
        "attention": [
            {
                "town": None if case.town is None else str(case.town),
                "status": None if case.town is None else case.town.status,
                "since": iso(case.since),
                "reasons": case.reasons,
            }
            for case in attention.cases
        ],
    }
