"""A town: one customer's Gas Town workspace."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from towns.words import DesiredState, InteractionKind, Status, StopReason

validate_name = RegexValidator(
    r"\A[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?\Z",
    "A town's name has 1 to 40 characters: lower-case letters, digits and inner hyphens.",
)


def default_idle_timeout() -> int:
    """The idle timeout of a new town, in minutes."""
    minutes: int = settings.GASTOWN_IDLE_TIMEOUT_MINUTES
    return minutes


LIVING = Q(destroyed_at__isnull=True) | Q(status=Status.RESTORING)
"""Towns that hold their name: one that is being restored has its machine again, or soon."""


class Town(models.Model):
    """One row per town, the living and the destroyed. Status changes go through `history`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="towns"
    )
    name = models.CharField(max_length=40, validators=[validate_name])
    region = models.CharField(max_length=16)
    image = models.CharField(max_length=255, blank=True, help_text="Of its present machine.")
    created_at = models.DateTimeField(editable=False)
    destroyed_at = models.DateTimeField(null=True, blank=True)

    status = models.CharField(
        max_length=16, choices=[(s.value, s.value) for s in Status], default=Status.PROVISIONING
    )
    status_reason = models.TextField(blank=True)
    status_since = models.DateTimeField()
    status_event = models.ForeignKey(
        "towns.LifecycleEvent", null=True, on_delete=models.PROTECT, related_name="+"
    )
    desired_state = models.CharField(
        max_length=16,
        choices=[(s.value, s.value) for s in DesiredState],
        default=DesiredState.RUNNING,
    )
    stop_reason = models.CharField(
        max_length=16, blank=True, choices=[(s.value, s.value) for s in StopReason if s.value]
    )

    fly_app = models.CharField(
        max_length=63,
        blank=True,
        default="",
        db_default="",  # a process of the version before knows nothing of it
        help_text="The Fly app that its machine and volume are in.",
    )
    machine_id = models.CharField(max_length=32, blank=True)
    volume_id = models.CharField(max_length=40, blank=True)
    generation = models.PositiveIntegerField(default=1)
    key_version = models.PositiveIntegerField(default=1)
    first_ran_at = models.DateTimeField(null=True, blank=True)
    awake_since = models.DateTimeField(null=True, blank=True)

    last_checked_at = models.DateTimeField(null=True, blank=True)
    last_slot = models.DateTimeField(null=True, blank=True)
    last_result = models.CharField(max_length=8, blank=True)
    last_ok_at = models.DateTimeField(null=True, blank=True)
    last_heartbeat_at = models.DateTimeField(null=True, blank=True)
    health = models.JSONField(default=dict, blank=True)
    consecutive_failures = models.PositiveIntegerField(default=0)
    episode_since = models.DateTimeField(null=True, blank=True)
    failure_kind = models.CharField(max_length=20, blank=True)
    failure_reason = models.TextField(blank=True)
    restarts_cleared_at = models.DateTimeField(null=True, blank=True)
    episode_ended_at = models.DateTimeField(null=True, blank=True)
    flap_count = models.PositiveIntegerField(default=0, help_text="Episodes in close succession.")
    flapping_since = models.DateTimeField(null=True, blank=True)

    last_interaction_at = models.DateTimeField(null=True, blank=True)
    last_interaction_kind = models.CharField(
        max_length=16, blank=True, choices=[(k.value, k.value) for k in InteractionKind]
    )
    websocket_seen_at = models.DateTimeField(null=True, blank=True)
    websocket_message_at = models.DateTimeField(null=True, blank=True)
    idle_timeout_minutes = models.PositiveIntegerField(default=default_idle_timeout)
    auto_stop = models.BooleanField(default=True)
    keep_awake_until = models.DateTimeField(null=True, blank=True)
    hold_reason = models.CharField(max_length=200, blank=True)
    hold_until = models.DateTimeField(null=True, blank=True)
    idle_sync_failures = models.PositiveIntegerField(default=0)

    last_backup_at = models.DateTimeField(null=True, blank=True)
    last_snapshot = models.CharField(max_length=32, blank=True)
    backups_checked_at = models.DateTimeField(
        null=True, blank=True, help_text="When R2 was last asked for its backups."
    )

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"],
                condition=LIVING,
                name="town_name_unique_among_the_living",
            ),
            models.CheckConstraint(
                condition=Q(status__in=[s.value for s in Status]), name="town_status_known"
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.DESTROYED) | Q(destroyed_at__isnull=False),
                name="town_destroyed_has_its_time",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "id"], name="town_by_status"),
            models.Index(fields=["-created_at", "-id"], name="town_newest_first"),
            models.Index(
                fields=["machine_id"], condition=~Q(machine_id=""), name="town_by_machine"
            ),
            models.Index(
                fields=["episode_since", "id"],
                condition=Q(episode_since__isnull=False),
                name="towns_that_fail",
            ),
        ]
        permissions = [
            ("start_town", "Can start towns"),
            ("stop_town", "Can stop towns"),
            ("restart_town", "Can restart towns"),
            ("recover_town", "Can recover towns"),
            ("backup_town", "Can back up towns"),
            ("destroy_town", "Can destroy towns"),
            ("restore_town", "Can restore towns"),
            ("discard_town", "Can destroy towns without a backup"),
            ("sweep_town", "Can sweep towns at once"),
            ("freeze_automation", "Can freeze and thaw automation"),
        ]

    def __str__(self) -> str:
        return f"{self.owner.get_username()}/{self.name}"

    @property
    def restore_until(self) -> datetime | None:
        """Until when a destroyed town can be restored; None for a living one."""
        if self.destroyed_at is None:
            return None
        return self.destroyed_at + timedelta(days=settings.GASTOWN_RETENTION_DAYS)

    def figure(self, name: str) -> Any:
        """One of the latest health figures (`HealthCheck.figures`), or None when unknown."""
        return self.health.get(name)
