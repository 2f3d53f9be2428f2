"""The causes in words: what staff read first, and what an owner is told."""

from dataclasses import dataclass

COVERING = "platform_down"
"""The cause under whose alerts those of single towns are gathered."""
MANY = "Look for what they share (region, image, Fly's status) before you touch single towns."
NOTHING_TO_DO = "You need do nothing: our staff look into it."


@dataclass(frozen=True, slots=True)
class Words:
    """How a cause is told. `{town}` stands for `owner/name`.

    `act` and `many` are what staff do first about one and about many; `owner` follows "Your town
    mill", and `owner_act` is the first line to an owner.
    """

    title: str
    act: str = "See what is wrong: manage.py town show {town}"
    many: str = MANY
    owner: str = "needs attention"
    owner_act: str = NOTHING_TO_DO


_TRY_AGAIN = "See at which step it failed and try again: manage.py town show {town}"
_TABLE = {
    "provision_failed": Words("provision failed", _TRY_AGAIN, owner="could not be made"),
    "start_failed": Words("start failed", _TRY_AGAIN, owner="could not be started"),
    "stop_failed": Words("stop failed", _TRY_AGAIN, owner="could not be stopped properly"),
    "restart_failed": Words(
        "restart failed",
        "See why it does not come back: manage.py town show {town}",
        owner="stopped answering, and restarting it did not help",
    ),
    "restart_limit": Words(
        "keeps failing, restarted no more",
        "Find out why it fails (manage.py town show {town}), then: "
        "manage.py town set {town} --clear-restarts",
        owner="keeps failing, and restarting it did not help",
    ),
    "recover_failed": Words(
        "recovery failed",
        "Look for its volume and its snapshots at Fly and in R2: manage.py town show {town}",
        owner="was lost at our hosting provider and is not rebuilt yet",
    ),
    "destroy_failed": Words(
        "destroy failed",
        "Look at Fly for what is left of it: manage.py town show {town}",
        owner="is being destroyed, which takes longer than it should",
    ),
    "restore_failed": Words("restore failed", _TRY_AGAIN, owner="could not be restored"),
    "backup_failed": Words(
        "backup failed", "See what the sandbox says: manage.py town show {town}"
    ),
    "idle_backup_failed": Words(
        "idle, but its backup fails", "See what the sandbox says: manage.py town show {town}"
    ),
    "corrupt_snapshot": Words(
        "newest snapshot corrupt",
        "Tell its owner what is lost, and keep the corrupt snapshot: manage.py town show {town}",
        owner="was rebuilt from an older backup, as the newest one was damaged",
        owner_act="Please look whether your latest work is there, and tell us if it is not.",
    ),
    "old_volume": Words(
        "old volume left",
        "Look at the old volume; when it isn't needed, confirm that it may go: "
        "manage.py orphans list",
    ),
    "stale_heartbeat": Words(
        "daemon does not beat",
        "Look for an E-stop or an expired token: manage.py town show {town}",
        many="Look for what they share: an expired token, a bad image, an E-stop of all?",
    ),
    "disk_warning": Words(
        "disk nearly full",
        "Have its owner clear it up, or extend the volume at Fly.",
        many="Have their owners clear up, or extend the volumes at Fly.",
    ),
    "disk_critical": Words(
        "disk full",
        "Extend its volume at Fly, or have its owner clear it up now.",
        many="Extend the volumes at Fly, or have their owners clear up now.",
        owner="has hardly any disk space left",
        owner_act="Please delete what you don't need any more, before work is lost.",
    ),
    COVERING: Words(
        "platform down",
        "Look at Fly's status (https://status.flyio.net) and at our own network.",
        many="Look at Fly's status (https://status.flyio.net) and at our own network.",
    ),
    "recovery_frozen": Words(
        "recovery is frozen",
        "Check the Fly token and the app, then: manage.py automation thaw --scope recovery",
    ),
    "flapping": Words(
        "fails and heals by turns",
        "Look for what comes and goes (memory, disk, host): manage.py town show {town}",
    ),
    "backup_stale": Words(
        "no fresh backup", "See what the sandbox says, and back it up: manage.py town backup {town}"
    ),
    "backup_broken": Words(
        "newest backup broken",
        "Have it backed up anew while it runs: manage.py town backup {town}",
        owner="has no backup that we can rely on just now",
    ),
    "backup_held": Words(
        "backup held back, as it has shrunk",
        "Accept it or drop it: manage.py town backup {town} --accept SNAPSHOT",
    ),
    "drill_failed": Words(
        "restore drill failed",
        "Have it backed up anew, and drill again: manage.py town drill {town}",
        owner="has a backup that could not be restored in a test of ours",
    ),
    "drill_image": Words(
        "image doesn't know restore drills", "Build the image anew from sandbox/Dockerfile."
    ),
    "drills_inconclusive": Words(
        "restore drills prove nothing", "Look at the last drills in the admin, and at Fly's room."
    ),
    "r2_unreachable": Words(
        "R2 can't be asked", "Check R2's keys and status: backups are not seen meanwhile."
    ),
    "reconcile_blind": Words(
        "Fly can't be compared with our rows",
        "Check GASTOWN_FLY_APP_NAME, the token, and https://status.flyio.net",
    ),
    "reconcile_doubt": Words(
        "Fly lists far too little",
        "Check GASTOWN_FLY_APP_NAME, the token, and https://status.flyio.net",
    ),
    "orphans": Words(
        "orphans at Fly", "Confirm what may go: manage.py orphans list, or the admin."
    ),
    "machine_gone": Words(
        "machine gone", "It is recovered at its next start: manage.py town show {town}"
    ),
    "volume_gone": Words(
        "volume gone",
        "Recover it from its backup: manage.py town recover {town}",
        owner="has lost its disk at our hosting provider",
    ),
    "twin": Words("two machines", owner="has two machines at our hosting provider"),
    "unrecorded_machine": Words("machine that no row knows"),
    "wrong_region": Words("machine in another region"),
    "wrong_volume": Words("another volume than its own", owner="runs on a wrong disk"),
    "webhook_disabled": Words(
        "webhook disabled", "Mend its receiver, then enable it: Webhooks in the admin."
    ),
    "sweep_late": Words(
        "sweep is late",
        "Start more workers (manage.py qcluster), or lengthen its period.",
        many="Start more workers (manage.py qcluster), or lengthen their periods.",
    ),
}


def words(cause: str) -> Words:
    """The words of a cause; one that has none of its own is told by its name."""
    known = _TABLE.get(cause)
    return known if known is not None else Words(cause.replace("_", " "))
