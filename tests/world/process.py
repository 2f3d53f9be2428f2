"""The sandbox process inside a machine, as sandbox.md describes it."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from towns.probe import HealthReport
from towns.services.errors import Conflict

from .happenings import Record
from .r2 import FakeR2
from .things import FlyVolume, Pace, Snapshot, TownData
from .timeline import Timeline

KEPT_SNAPSHOTS = 3
SHRINK = 5
DISK = 50_000_000_000
MEMORY = 8_000_000_000


class Process:
    """One run of the sandbox, from the machine's start to its stop.

    1. An empty volume is restored from R2; a new town is made only where R2 has nothing.
    2. `gt up`. 3. A backup at once, then every SYNC_INTERVAL. 4. SIGTERM: gt down, last backup.
    """

    def __init__(
        self,
        *,
        machine_id: str,
        env: dict[str, str],
        volume: FlyVolume,
        timeline: Timeline,
        r2: FakeR2,
        record: Record,
        pace: Pace,
        sick: bool = False,
        drill: bool = False,
    ) -> None:
        self.machine_id = machine_id
        self.town_id = env["TOWN_ID"]
        self.key = env["INTERNAL_API_KEY"]
        self.prefix = env["R2_PREFIX"]
        self.generation = int(env["GENERATION"])
        self.interval = float(env["SYNC_INTERVAL_SECONDS"])
        self.volume = volume
        self.started_at = timeline.now()
        self.sick = sick
        self.drill = drill
        """Restores and starts Dolt; never backs up, never runs `gt up`."""
        self.corrupt: list[str] = []
        self.alive = True
        self.mute = False
        self.town_ready = False
        self.daemon_running = False
        self.dolt_running = False
        self.draining = False
        self.polecats_active: int | None = 0
        self.merge_queue: int | None = 0
        self.restore_state = "none"
        self.restore_snapshot: str | None = None
        self.restore_error: str | None = None
        self.backup_at: datetime | None = None
        self.backup_snapshot: str | None = None
        self.backup_error: str | None = None
        self.syncing: Snapshot | None = None
        self._attempts = 0
        self._timeline = timeline
        self._r2 = r2
        self._record = record
        self._pace = pace

    def boot(self) -> None:
        """Begin the start-up."""
        if self.volume.data is None:
            self._restore()
        else:
            self._ready()

    def kill(self) -> None:
        """End at once, with nothing saved."""
        self.alive = False

    def sigterm(self, exited: Callable[[], None]) -> None:
        """Drain; calls `exited` when it is over."""
        self.draining = True
        self.syncing = None
        self._record.note("sigterm", self.machine_id)
        if self.drill:
            exited()
            return
        self._plan(self._pace.gt_down, partial(self._gt_down, exited))

    def work(self, mark: str) -> None:
        """The town writes something."""
        assert self.volume.data is not None, "the town has no data yet"
        self.volume.data = self.volume.data.with_mark(mark)

    def report(self) -> HealthReport:
        """The body of GET /health."""
        heartbeat = self._timeline.now() if self.daemon_running else None
        return HealthReport(
            town_id=self.town_id,
            daemon_running=self.daemon_running,
            dolt_running=self.dolt_running,
            tmux_sessions=5 if self.daemon_running else 0,
            machine_id=self.machine_id,
            started_at=self.started_at,
            version="1.0.1",
            daemon_heartbeat_at=heartbeat,
            polecats_active=self.polecats_active,
            polecats_total=self.polecats_active,
            merge_queue=self.merge_queue,
            disk_used=DISK // 50,
            disk_total=DISK,
            memory_used=MEMORY // 8,
            memory_total=MEMORY,
            cpu_ratio=0.1,
            backup_snapshot=self.backup_snapshot,
            backup_at=self.backup_at,
            backup_error=self.backup_error,
            restore_state=self.restore_state,
            restore_snapshot=self.restore_snapshot,
            restore_error=self.restore_error,
            draining=self.draining,
            drill_corrupt=tuple(self.corrupt) if self.drill else None,
        )

    def sync(self, done: Callable[[], None] | None = None) -> None:
        """Begin a backup of the data as it is now, or join the one under way."""
        if self.drill:
            self._record.violate(f"{self.machine_id} backs up in a drill")
        if self.syncing is None:
            self._begin_sync()
        self._plan(self._pace.sync, partial(self._end_sync, self.syncing, done))

    def _plan(self, seconds: float, action: Callable[[], None]) -> None:
        self._timeline.later(seconds, partial(self._if_alive, action))

    def _if_alive(self, action: Callable[[], None]) -> None:
        if self.alive:
            action()

    def _restore(self) -> None:
        if self.draining:
            return
        self.restore_state = "running" if self.restore_state == "none" else self.restore_state
        if self._r2.faults.r2_down:
            self._try_restore_later()
            return
        folder = self._r2.folder(self.prefix)
        if not any(snapshot.complete for snapshot in folder.snapshots.values()):
            if self.drill:
                self._try_restore_later()
                return
            self.restore_state = "none"
            self.volume.data = TownData()
            self._record.note("installed", self.machine_id)
            self._ready()
            return
        self._plan(self._pace.restore, self._end_restore)

    def _try_restore_later(self) -> None:
        pauses = self._pace.restore_retries
        if self._attempts < len(pauses):
            pause = pauses[self._attempts]
        else:
            pause = self._pace.restore_retry
            self.restore_state, self.restore_error = "failed", "R2 can't be reached"
        self._attempts += 1
        self._plan(pause, self._restore)

    def _end_restore(self) -> None:
        if self.draining:
            return
        if self._r2.faults.r2_down:
            self._try_restore_later()
            return
        folder = self._r2.folder(self.prefix)
        latest = folder.latest.timestamp if folder.latest else max(folder.snapshots)
        problems = []
        self.corrupt = []
        for timestamp in sorted(folder.snapshots, reverse=True):
            snapshot = folder.snapshots[timestamp]
            if timestamp > latest or (snapshot.held and timestamp != latest):
                continue
            if not snapshot.is_whole:
                problems.append(f"snapshot {timestamp} is corrupt")
                self.corrupt.append(timestamp)
                continue
            self.volume.data = snapshot.data
            self.restore_state, self.restore_snapshot = "done", timestamp
            self.restore_error = "; ".join(problems) or None
            self._record.note("restored", self.machine_id, timestamp)
            self._ready()
            return
        self.restore_state, self.restore_error = "failed", "; ".join(problems) or "nothing sound"

    def _ready(self) -> None:
        self.town_ready = True
        self._plan(self._pace.gt_up, self._dolt_up if self.drill else self._gt_up)

    def _dolt_up(self) -> None:
        self.dolt_running = not self.sick

    def _gt_up(self) -> None:
        if self.draining:
            return
        self._record.note("gt up", self.machine_id)
        self.daemon_running = self.dolt_running = not self.sick
        self._beat()

    def _beat(self) -> None:
        if not self.draining and self._pace.beats:
            self.sync()
            self._plan(self.interval, self._beat)

    def _gt_down(self, exited: Callable[[], None]) -> None:
        self.daemon_running = self.dolt_running = False
        self._record.note("gt down", self.machine_id)
        if self.town_ready:
            self.work("gt down")
            self.sync(exited)
        else:
            exited()

    def _begin_sync(self) -> None:
        assert self.volume.data is not None
        if self._r2.faults.r2_down:
            self.backup_error = "R2 can't be reached"
            return
        folder, now = self._r2.folder(self.prefix), self._timeline.now()
        if folder.latest is not None and folder.latest.generation > self.generation:
            self.backup_error = "a newer machine has the town"
            self._record.note("fenced", self.machine_id)
            return
        timestamp = next_stamp(now, folder.snapshots)
        self.syncing = Snapshot(timestamp, now, self.volume.data, now)
        folder.snapshots[timestamp] = self.syncing

    def _end_sync(self, snapshot: Snapshot | None, done: Callable[[], None] | None) -> None:
        if snapshot is not None and snapshot is self.syncing:
            self.syncing = None
            self._publish(snapshot)
        if done is not None:
            done()

    def _publish(self, snapshot: Snapshot) -> None:
        folder = self._r2.folder(self.prefix)
        if self._r2.faults.r2_down:
            self.backup_error = "R2 can't be reached"
            return
        previous = folder.snapshots.get(folder.latest.timestamp) if folder.latest else None
        snapshot.held = previous is not None and snapshot.data.size * SHRINK < previous.data.size
        folder.snapshots[snapshot.timestamp] = snapshot
        snapshot.complete = True
        if snapshot.held:
            self.backup_error = f"snapshot {snapshot.timestamp} shrank: held"
            return
        try:
            self._r2.point(self.prefix, snapshot.timestamp, self.generation)
        except Conflict as error:
            self.backup_error = error.message
            del folder.snapshots[snapshot.timestamp]
            self._record.note("fenced", self.machine_id)
            return
        self.backup_at, self.backup_snapshot = snapshot.created_at, snapshot.timestamp
        self.backup_error = None
        self._record.note("snapshot", self.machine_id, snapshot.timestamp)
        good = sorted(name for name, one in folder.snapshots.items() if one.complete)
        for timestamp in good[:-KEPT_SNAPSHOTS]:
            del folder.snapshots[timestamp]


def next_stamp(now: datetime, taken: dict[str, Snapshot]) -> str:
    """A name greater than all before it."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    newest = max(taken, default="")
    return stamp if stamp > newest else f"{newest[:-3]}{int(newest[-3:-1]) + 1:02}Z"
