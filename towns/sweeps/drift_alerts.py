"""Alerts about drift that people have to see to: one per town and cause, closed on evidence."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from towns import alerts
from towns.alerts.opening import new_alert
from towns.drift import Drift, DriftKind
from towns.fly_apps import app_of
from towns.models import Alert, Town
from towns.sweeps.repair_scene import Handled, Scene
from towns.sweeps.second_look import NotSure, SecondLook

_SEVERITY = {
    DriftKind.GONE: "warning",
    DriftKind.VOLUME_GONE: "critical",
    DriftKind.TWIN: "critical",
    DriftKind.UNRECORDED: "warning",
    DriftKind.WRONG_REGION: "warning",
    DriftKind.WRONG_VOLUME: "critical",
}
_ADVICE = {
    DriftKind.GONE: "It is stopped; its next start rebuilds it from its volume or its backup.",
    DriftKind.VOLUME_GONE: "Its data is in its last backup; recover it when it doesn't run.",
    DriftKind.TWIN: "Look at both at Fly. Nothing of the other one is destroyed unless you confirm "
    "it among the orphans.",
    DriftKind.UNRECORDED: "Start or recover the town, or destroy the machine at Fly.",
    DriftKind.WRONG_REGION: "It is left where it is; see whether somebody moved it.",
    DriftKind.WRONG_VOLUME: "Look which of the two has the town's data before anything else.",
}
_RESOLUTION = "Fly and the town's row agree again"


@dataclass(frozen=True, slots=True)
class Standing:
    """The open alerts about drift, by town and cause."""

    alerts: dict[tuple[UUID, str], Alert]

    def knows(self, drift: Drift) -> bool:
        """Whether people have been told of it already."""
        return (drift.town.id, drift.kind.value) in self.alerts


def read_standing() -> Standing:
    """The open ones; one statement."""
    found = Alert.objects.filter(
        cause__in=[kind.value for kind in _SEVERITY], resolved_at=None, town__isnull=False
    )
    return Standing({(one.town_id, one.cause): one for one in found if one.town_id is not None})


def report(drifts: Sequence[Drift], standing: Standing, scene: Scene) -> list[Handled]:
    """Prove what is said to be missing, and say what becomes of each."""
    handled = []
    for drift in drifts:
        try:
            why = "" if standing.knows(drift) else _disproof(drift, scene.look)
        except NotSure as error:
            handled.append(Handled(drift, "unsure", str(error)))
            continue
        handled.append(Handled(drift, "none", why) if why else _reported(drift))
    return handled


def _reported(drift: Drift) -> Handled:
    return Handled(drift, "report", _ADVICE.get(drift.kind, "told here only"))


def _disproof(drift: Drift, look: SecondLook) -> str:
    """Why a drift isn't one after all; nothing when it is. Only a 404 proves absence."""
    town = drift.town
    if (
        drift.kind == DriftKind.GONE
        and (machine := look.machine(town.app, town.machine_id)) is not None
    ):
        return f"Fly still has machine {machine.id} ({machine.state})"
    if (
        drift.kind == DriftKind.VOLUME_GONE
        and (volume := look.volume(town.app, town.volume_id)) is not None
    ):
        return f"Fly still has volume {volume.id} ({volume.state})"
    if drift.kind == DriftKind.UNRECORDED and drift.thing is not None:
        return "" if look.machine(drift.thing.app, drift.thing.id) is not None else "it is gone"
    return ""


def update_alerts(
    handled: Sequence[Handled],
    standing: Standing,
    scene: Scene,
    *,
    compared: Container[UUID],
    now: datetime,
) -> None:
    """Open what is new, and close what a comparison of the town shows to be over: a fixed number
    of statements, and a look for each twin that isn't listed any more.

    What is unsure neither opens nor closes anything.
    """
    wanted: dict[tuple[UUID, str], list[Drift]] = {}
    unsure = {one.drift.town.id for one in handled if one.action == "unsure"}
    missing = {one.drift.town.id for one in handled if one.drift.missing}
    for one in handled:
        if one.drift.kind in _SEVERITY and one.action in ("report", "stop"):
            wanted.setdefault((one.drift.town.id, one.drift.kind.value), []).append(one.drift)
    alerts.open_many(
        _alert(drifts, now) for key, drifts in wanted.items() if key not in standing.alerts
    )
    seen = [alert.pk for key, alert in standing.alerts.items() if key in wanted]
    if seen:
        Alert.objects.filter(pk__in=seen).update(seen_at=now)
    over = []
    for (town_id, cause), alert in standing.alerts.items():
        if (town_id, cause) in wanted or town_id not in compared or town_id in unsure:
            continue
        absent = cause not in (DriftKind.GONE, DriftKind.VOLUME_GONE) and town_id in missing
        if not absent and _is_over(alert, scene.look):
            over.append(alert.pk)
    alerts.resolve_many(over, resolution=_RESOLUTION, now=now)


def _is_over(alert: Alert, look: SecondLook) -> bool:
    """A twin that isn't listed may come back: its alert closes by a 404, or once it is the town's
    own machine."""
    if alert.cause != DriftKind.TWIN:
        return True
    twins, apps = alert.data.get("machines", []), alert.data.get("apps", {})
    app = app_of(alert.town) if alert.town is not None else ""
    own = set(Town.objects.filter(machine_id__in=twins).values_list("machine_id", flat=True))
    try:
        return all(one in own or look.machine(apps.get(one, app), one) is None for one in twins)
    except NotSure:
        return False


def _alert(drifts: Sequence[Drift], now: datetime) -> Alert:
    first = drifts[0]
    seen = " ".join(one.text for one in drifts)
    alert = new_alert(
        first.town.id,
        first.kind.value,
        severity=_SEVERITY[first.kind],
        message=f"{first.town.label}: {seen} {_ADVICE[first.kind]}",
        now=now,
    )
    if first.kind == DriftKind.TWIN:
        twins = [one.thing for one in drifts if one.thing is not None]
        alert.data = {
            "machines": [one.id for one in twins],
            "apps": {one.id: one.app for one in twins},
        }
    return alert
