"""What is asked inside Django by the tests that kill workers; answers are ready for JSON."""

import os
import sys
import tempfile
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.core.management import execute_from_command_line
from django.utils import timezone

from towns import actions, addresses
from towns.apps_in_use import apps_in_use
from towns.history import Actor
from towns.models import Drill, LifecycleEvent, Operation, Town
from towns.services import default_services
from towns.services.r2 import R2Client, live_prefix, retained_prefix
from towns.words import Status

ACTOR = Actor.shell()
GONE = ("destroyed", "destroying")


def manage(arguments: list[str]) -> dict[str, Any]:
    """Run a command as `manage.py` does; its exit code and what it printed."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with open(os.devnull) as nothing:
            for file, number in ((nothing, 0), (out, 1), (err, 2)):
                os.dup2(file.fileno(), number)
        code: object = 0
        try:
            execute_from_command_line(["manage.py", *arguments])
        except SystemExit as end:
            code = end.code or 0
        sys.stdout.flush()
        sys.stderr.flush()
        said = {}
        for name, file in (("stdout", out), ("stderr", err)):
            file.seek(0)
            said[name] = file.read().decode()
    return {"code": code, **said}


def create(name: str) -> str:
    """Ask for a new town; returns its id."""
    owner, _ = User.objects.get_or_create(username="alice")
    asked = actions.create_town(
        owner, name, actor=ACTOR, now=timezone.now(), region="iad", reason="to be killed at"
    )
    return str(asked.operation.town_id)


def request(town: str, kind: str, **params: Any) -> str:
    """Ask for an operation; returns its id."""
    asked = getattr(actions, f"request_{kind}")(
        UUID(town), actor=ACTOR, now=timezone.now(), **params
    )
    return str(asked.operation.pk)


def make_idle(town: str) -> None:
    """Have its idle timeout be over."""
    long_ago = timezone.now() - timedelta(hours=2)
    Town.objects.filter(pk=town).update(last_interaction_at=long_ago, awake_since=long_ago)


def show(town: str) -> dict[str, Any]:
    """The row."""
    found = Town.objects.get(pk=town)
    return {
        "status": found.status,
        "reason": found.status_reason,
        "machine_id": found.machine_id,
        "volume_id": found.volume_id,
        "generation": found.generation,
    }


def operations(town: str) -> list[dict[str, Any]]:
    """Every operation of a town, the oldest first, with what its history says of statuses."""
    found = []
    for operation in Operation.objects.filter(town=UUID(town)).order_by("created_at"):
        events = LifecycleEvent.objects.filter(operation=operation).order_by("id")
        found.append(
            {
                "id": str(operation.pk),
                "kind": operation.kind,
                "state": operation.state,
                "message": operation.message,
                "claims": operation.lease_number,
                "statuses": [[e.from_status, e.to_status] for e in events if e.to_status],
                "events": [e.kind for e in events],
            }
        )
    return found


def problems_at_fly(town: str | None = None) -> list[str]:
    """What Fly has and no row knows, what a row says and Fly hasn't, and twins; of one town, or of
    all of them."""
    apps = [default_services().fly.of(app) for app in apps_in_use().apps]
    machines = [one for fly in apps for one in fly.list_machines() if one.state not in GONE]
    volumes = [one for fly in apps for one in fly.list_volumes() if not one.going_away]
    rows = {str(row.pk): row for row in Town.objects.all() if town in (None, str(row.pk))}
    problems: list[str] = []
    of_machine = {m.id: m.metadata.get(addresses.TOWN_METADATA, "") for m in machines}
    of_volume = {v.id: str(addresses.town_of_volume(v.name) or "") for v in volumes}
    for kind, owners, field in (
        ("machine", of_machine, "machine_id"),
        ("volume", of_volume, "volume_id"),
    ):
        for found, owner in owners.items():
            row = rows.get(owner)
            if row is None and town is None:
                problems.append(f"{kind} {found} is nobody's (it says {owner or 'nothing'})")
            elif row is not None and getattr(row, field) != found:
                problems.append(f"{kind} {found} is an orphan or a twin of {row}")
        for row in rows.values():
            if getattr(row, field) and getattr(row, field) not in owners:
                problems.append(f"{row} says {kind} {getattr(row, field)}, which Fly hasn't")
    return problems


def problems_in_r2(town: str) -> list[str]:
    """What is wrong with a town's backups: a living one has a verified pointer and whole snapshots
    and nothing retained; a destroyed one has exactly its retained snapshot."""
    r2 = default_services().r2
    live, retained = live_prefix(town), retained_prefix(town)
    if Town.objects.get(pk=town).status == Status.DESTROYED:
        problems = [f"{key} is left" for key in _keys(live)]
        kept = r2.list_snapshots(retained)
        if len(kept) != 1:
            problems.append(f"{len(kept)} snapshots are retained: {kept}")
        whole = [r2.verify(retained, one, checksums=True) for one in kept]
        return problems + [f"{one.timestamp}: {one.problem}" for one in whole if not one.ok]
    problems = [f"{key} is left" for key in _keys(retained)]
    pointer = r2.read_pointer(live)
    if pointer is None:
        return [*problems, "there is no pointer"]
    latest = r2.verify(live, pointer.timestamp, checksums=True)
    if not latest.ok:
        problems.append(f"the pointer's {latest.timestamp}: {latest.problem}")
    for one in r2.list_snapshots(live):
        if not (found := r2.verify(live, one)).ok:
            problems.append(f"{one}: {found.problem}")
    return problems


def _keys(prefix: str) -> list[str]:
    r2 = default_services().r2
    assert isinstance(r2, R2Client)
    return [item.key for item in r2._store.list(prefix)]


def pointer(town: str) -> str:
    """The snapshot that is the latest."""
    found = default_services().r2.read_pointer(live_prefix(town))
    return found.timestamp if found else ""


def drill(town: str) -> dict[str, Any]:
    """Its last drill."""
    found = Drill.objects.filter(town=UUID(town)).latest("began_at")
    return {
        "result": found.result,
        "reason": found.reason,
        "corrupt": found.corrupt,
        "clean": found.cleaned_at is not None,
    }


def is_open(operation: str) -> bool:
    """Whether an operation is under way."""
    return Operation.objects.get(pk=operation).is_open


def let_time_run_out(town: str) -> None:
    """Have the deadline of what is under way be over."""
    Operation.objects.filter(town=UUID(town), state="open").update(deadline_at=timezone.now())
