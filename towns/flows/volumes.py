"""Steps about volumes. A volume with data is only ever destroyed by `destroy`."""

from datetime import UTC, datetime

from django.conf import settings

from towns import addresses
from towns.flows.machines import going
from towns.flows.outcome import Done, Outcome, Wait
from towns.flows.run import Run
from towns.fly_apps import app_of
from towns.services.errors import NotFound
from towns.services.fly import Volume, VolumeSpec


def ensure_volume(run: Run) -> Outcome:
    """Make the volume of the town's generation, or adopt it if it was made but not saved.

    A recorded volume that exists is used; in recovery an earlier step has proved it lost, and
    `needs_volume` says so.
    """
    town = run.town
    kept = run.learned.get("volume_id") or (
        "" if run.learned.get("needs_volume") else town.volume_id
    )
    if kept:
        run.fly.get_volume(kept)
        if town.volume_id != kept:
            run.save_town(volume_id=kept)
        return Done(f"{kept} is there")
    if town.fly_app != (app := app_of(town)):
        run.save_town(fly_app=app)
    volume = _newest_by_name(run) or run.fly.create_volume(_volume_spec(run))
    run.remember(volume_id=volume.id)
    run.save_town(volume_id=volume.id)
    return Done(volume.id)


def _newest_by_name(run: Run) -> Volume | None:
    """Volume names are not unique: the newest of exactly this name that isn't going away."""
    return next(iter(_by_name(run)), None)


def _by_name(run: Run) -> list[Volume]:
    name = addresses.volume_name(run.town)
    usable = [
        volume for volume in run.fly.list_volumes() if volume.name == name and not volume.going_away
    ]
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(usable, key=lambda one: (one.created_at or never, one.id), reverse=True)


def _volume_spec(run: Run) -> VolumeSpec:
    return VolumeSpec(
        name=addresses.volume_name(run.town),
        region=run.town.region,
        size_gb=settings.GASTOWN_VOLUME_SIZE_GB,
        cpus=settings.GASTOWN_MACHINE_CPUS,
        memory_mb=settings.GASTOWN_MACHINE_MEMORY_MB,
    )


def remove_volume(run: Run) -> Outcome:
    """Destroy the volume and wait until it is seen gone. The flow has proved that it may go.

    One of this generation that was made but not saved is found by its name, and goes first.
    """
    named = _by_name(run)
    if named and not run.town.volume_id:
        run.save_town(volume_id=named[0].id)
    for unsaved in named:
        if unsaved.id != run.town.volume_id:
            run.fly.destroy_volume(unsaved.id)
            return Wait(2, f"Volume {unsaved.id}, which was never used, is going away.")
    volume_id = run.town.volume_id
    if not volume_id:
        return Done("there is none")
    try:
        volume = run.fly.get_volume(volume_id)
        if volume.state == "destroyed":
            return Done(f"{volume_id} is gone")
        if not volume.going_away:
            run.fly.destroy_volume(volume_id)
    except NotFound:
        return Done(f"{volume_id} is gone")
    return going(run, f"Volume {volume_id}")
