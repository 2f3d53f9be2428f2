"""What the list of towns and a town's page say of a town, each in one cell."""

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from towns.addresses import sandbox_address
from towns.admin.health_check import polecats
from towns.backup_policy import is_stale
from towns.display import NOTHING, copyable, operation_link, tag, when
from towns.facts import backup_facts, idle_facts
from towns.fly_apps import app_of, presumed
from towns.models import Town
from towns.policy import awake_because, idle_stop_at
from towns.presenting import last_drill, open_operation
from towns.readable import ago, used, utc
from towns.rules import idle_rules, stale_after
from towns.words import ACTIVE, Status

ASLEEP = frozenset({Status.STOPPED, Status.DESTROYED})


class TownColumns:
    """Read-only fields of the town admin. They ask the database for nothing more."""

    @admin.display(description="town", ordering="name")
    def town(self, town: Town) -> str:
        """owner/name."""
        return str(town)

    @admin.display(description="status", ordering="status")
    def status_tag(self, town: Town) -> SafeString:
        """Its status, with the reason in the tooltip, and the operation under way."""
        told = format_html('<span title="{}">{}</span>', town.status_reason, tag(town.status))
        operation = open_operation(town)
        if operation is None:
            return told
        return format_html('{}<div class="ops-under-way">{}</div>', told, operation_link(operation))

    @admin.display(description="health", ordering="consecutive_failures")
    def health_tag(self, town: Town) -> SafeString | str:
        """The last check, and how many have failed in a row: `failed 3x`. Nobody asks a town that
        sleeps."""
        if not town.last_result or Status(town.status) in ASLEEP:
            return NOTHING
        failures = town.consecutive_failures
        text = f"{town.last_result} {failures}x" if failures else town.last_result
        return tag(town.last_result, text)

    @admin.display(description="last interaction", ordering="last_interaction_at")
    def interaction(self, town: Town) -> SafeString | str:
        """When its owner last used it, and how."""
        moment = when(town.last_interaction_at, timezone.now())
        kind = town.last_interaction_kind
        return format_html("{} ({})", moment, kind) if kind else moment

    @admin.display(description="idle time left")
    def idle_left(self, town: Town) -> str:
        """When it is stopped for being idle, or what holds it awake."""
        if Status(town.status) not in ACTIVE:
            return NOTHING
        now = timezone.now()
        at = idle_stop_at(idle_facts(town), now, idle_rules())
        if at is None:
            return self.awake(town)
        return "at the next sweep" if at <= now else ago(at, now).removeprefix("in ")

    @admin.display(description="awake because of")
    def awake(self, town: Town) -> str:
        """What holds it awake now."""
        if Status(town.status) not in ACTIVE:
            return "it is not awake"
        held = awake_because(idle_facts(town), timezone.now(), idle_rules())
        return ", ".join(hold.value.replace("_", " ") for hold in held) or "nothing: it is idle"

    @admin.display(description="planned stop")
    def planned_stop(self, town: Town) -> str:
        """When it is stopped if nobody uses it."""
        if Status(town.status) not in ACTIVE:
            return NOTHING
        now = timezone.now()
        at = idle_stop_at(idle_facts(town), now, idle_rules())
        return "none while it is held awake" if at is None else f"{utc(at)} ({ago(at, now)})"

    @admin.display(description="status")
    def status_told(self, town: Town) -> SafeString:
        """Its status, since when, and why."""
        since = f"{utc(town.status_since)} ({ago(town.status_since, timezone.now())})"
        return format_html("{} since {}. {}", tag(town.status), since, town.status_reason)

    @admin.display(description="last check")
    def check_told(self, town: Town) -> SafeString | str:
        """When, what it said, and what fails."""
        if town.last_checked_at is None:
            return "never checked"
        told = format_html(
            "{} {}", self.health_tag(town), when(town.last_checked_at, timezone.now())
        )
        return format_html("{}. {}", told, town.failure_reason) if town.failure_reason else told

    @admin.display(description="disk")
    def disk(self, town: Town) -> str:
        """Of its volume."""
        return used(town.figure("disk_used"), town.figure("disk_total"))

    @admin.display(description="memory")
    def memory(self, town: Town) -> str:
        """Of its machine."""
        return used(town.figure("memory_used"), town.figure("memory_total"))

    @admin.display(description="CPU")
    def cpu(self, town: Town) -> str:
        """Share of its machine's cores."""
        ratio = town.figure("cpu_ratio")
        return "unknown" if ratio is None else f"{100 * ratio:.0f} %"

    @admin.display(description="processes")
    def processes(self, town: Town) -> str:
        """Daemon, Dolt and sessions, as last told."""
        words = {True: "runs", False: "is down", None: "unknown"}
        sessions = town.figure("tmux_sessions")
        return (
            f"daemon {words[town.figure('daemon_running')]}, "
            f"Dolt {words[town.figure('dolt_running')]}, "
            f"{'unknown' if sessions is None else sessions} tmux sessions"
        )

    @admin.display(description="work")
    def work(self, town: Town) -> str:
        """Polecats and the merge queue."""
        agents = polecats(town.figure("polecats_active"), town.figure("polecats_total"))
        queue = town.figure("merge_queue")
        return f"polecats {agents}, merge queue {'unknown' if queue is None else queue}"

    @admin.display(description="daemon's heartbeat")
    def heartbeat(self, town: Town) -> SafeString | str:
        """When the daemon last beat."""
        return when(town.last_heartbeat_at, timezone.now())

    @admin.display(description="last backup", ordering="last_backup_at")
    def backup_age(self, town: Town) -> SafeString | str:
        """The age of its last good snapshot; marked where that is too old for a town that runs."""
        if town.last_backup_at is None:
            return NOTHING
        now = timezone.now()
        moment = when(town.last_backup_at, now)
        if not is_stale(backup_facts(town), town.last_backup_at, now, stale_after()):
            return moment
        return format_html("{} {}", moment, tag("stale"))

    @admin.display(description="last backup")
    def backup_told(self, town: Town) -> SafeString | str:
        """Its age and name, and when R2 was last asked whether it is there."""
        if town.last_backup_at is None:
            return "none"
        told = format_html("{} ({})", self.backup_age(town), town.last_snapshot)
        if town.backups_checked_at is None:
            return format_html("{}, not looked at in R2 yet", told)
        seen = when(town.backups_checked_at, timezone.now())
        return format_html("{}, looked at in R2 {}", told, seen)

    @admin.display(description="last restore drill")
    def drill_told(self, town: Town) -> SafeString | str:
        """Whether its backup is known to restore."""
        drill = last_drill(town)
        if drill is None:
            return "never: nobody knows whether its backup restores"
        moment = when(drill.finished_at, timezone.now())
        return format_html("{} {}. {}", tag(drill.result), moment, drill.reason)

    @admin.display(description="Fly app")
    def app_told(self, town: Town) -> SafeString | str:
        """That its machine and volume are in."""
        return copyable(presumed(app_of(town)))

    @admin.display(description="machine")
    def machine_told(self, town: Town) -> SafeString | str:
        """Fly's id of it."""
        return copyable(town.machine_id)

    @admin.display(description="volume")
    def volume_told(self, town: Town) -> SafeString | str:
        """Fly's id of it."""
        return copyable(town.volume_id)

    @admin.display(description="id")
    def id_told(self, town: Town) -> SafeString | str:
        """The town's own."""
        return copyable(str(town.pk))

    @admin.display(description="image")
    def image_told(self, town: Town) -> SafeString | str:
        """Of its present machine."""
        return copyable(town.image)

    @admin.display(description="sandbox")
    def sandbox_told(self, town: Town) -> SafeString | str:
        """Where its sandbox answers; its key is a secret and shown nowhere."""
        return copyable(sandbox_address(town).url if town.machine_id else "")

    @admin.display(description="can be restored until")
    def restorable(self, town: Town) -> str:
        """The end of its retention time."""
        return utc(town.restore_until)
