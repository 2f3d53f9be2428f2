"""`/v1/apps/{app}/volumes`: what each call does (fly.md, "Volumes")."""

import re
import shutil

from . import ids
from .errors import ApiError, bad_request, precondition
from .faults import Faults
from .fleet import Fleet
from .records import GOING, Volume
from .web import Answer, Request

_NAME = re.compile(r"\A[a-z0-9_]{1,30}\Z")


class Volumes:
    """The calls about volumes; each raises ApiError when it is refused."""

    def __init__(self, fleet: Fleet, faults: Faults) -> None:
        self._fleet = fleet
        self._state = fleet.state
        self._faults = faults

    def list(self, app: str) -> Answer:
        """All that the app has."""
        with self._state.reading():
            return Answer(
                [one.document() for one in self._state.volumes.values() if one.app == app]
            )

    def create(self, request: Request, app: str) -> Answer:
        """An empty one, or one with what a snapshot holds."""
        body = request.json()
        name = str(body.get("name") or "")
        if not _NAME.match(name):
            raise bad_request("a volume's name has 1 to 30 characters of a-z, 0-9 and _")
        if "volumes" in self._faults.no_capacity:
            raise ApiError(400, "no capacity available in region", "volume_placement_capacity")
        volume = Volume(
            id=ids.volume_id(),
            name=name,
            app=app,
            region=str(body.get("region") or "iad"),
            size_gb=_whole(body.get("size_gb"), 1, 500, 1),
            encrypted=bool(body.get("encrypted", True)),
            snapshot_retention=_whole(body.get("snapshot_retention"), 1, 60, 5),
            auto_backup_enabled=bool(body.get("auto_backup_enabled", True)),
        )
        folder = self._state.volume_dir(volume.id)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if snapshot_id := body.get("snapshot_id"):
            source = self._state.snapshot_dir(str(snapshot_id))
            if not source.is_dir():
                raise bad_request("snapshot not found")
            shutil.copytree(source, folder, symlinks=True)
        else:
            folder.mkdir()
            (folder / "lost+found").mkdir()  # an ext4 volume is never an empty directory
        with self._state.changing():
            self._state.volumes[volume.id] = volume
            return Answer(volume.document())

    def get(self, volume_id: str) -> Answer:
        """One."""
        with self._state.reading():
            return Answer(self._state.volume(volume_id).document())

    def update(self, request: Request, volume_id: str) -> Answer:
        """Its snapshots' retention and automatic backups."""
        body = request.json()
        with self._state.changing():
            volume = self._state.volume(volume_id)
            volume.snapshot_retention = _whole(
                body.get("snapshot_retention"), 1, 60, volume.snapshot_retention
            )
            volume.auto_backup_enabled = bool(
                body.get("auto_backup_enabled", volume.auto_backup_enabled)
            )
            return Answer(volume.document())

    def extend(self, request: Request, volume_id: str) -> Answer:
        """It only grows."""
        with self._state.changing():
            volume = self._state.volume(volume_id)
            size = _whole(request.json().get("size_gb"), 1, 500, 0)
            if size <= volume.size_gb:
                raise bad_request(f"size_gb must be over {volume.size_gb}")
            volume.size_gb = size
            return Answer({"volume": volume.document(), "needs_restart": False})

    def destroy(self, volume_id: str) -> Answer:
        """One that isn't attached; it goes by and by."""
        with self._state.changing():
            volume = self._state.volume(volume_id)
            if volume.attached_machine_id is not None:
                raise precondition(f"volume is attached to machine {volume.attached_machine_id}")
            fresh = volume.state not in GOING
            if fresh:
                volume.state = "scheduling_destroy"
            document = volume.document()
        if fresh:
            self._fleet.destroy_volume_later(volume_id)
        return Answer(document)

    def snapshots(self, request: Request, volume_id: str) -> Answer:
        """List them, or make one."""
        with self._state.changing():
            volume = self._state.volume(volume_id)
            if request.method == "GET":
                return Answer(list(volume.snapshots))
            snapshot = {
                "id": ids.snapshot_id(),
                "created_at": ids.now_iso(),
                "size": 0,
                "status": "created",
                "retention_days": volume.snapshot_retention,
            }
            target = self._state.snapshot_dir(str(snapshot["id"]))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(self._state.volume_dir(volume_id), target, symlinks=True)
            volume.snapshots.insert(0, snapshot)
            return Answer(snapshot)


def _whole(value: object, least: int, most: int, default: int) -> int:
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise bad_request(f"{value!r} is not a whole number from {least} to {most}")
    return value
