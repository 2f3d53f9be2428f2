"""What holds automation back: freezes by people or rules, and breakers."""

from django.db import models
from django.db.models import Q


class Freeze(models.Model):
    """A halt of automatic actions; the watching goes on. One that stands per scope."""

    class Scope(models.TextChoices):
        ALL = "all"
        RECOVERY = "recovery"

    id = models.BigAutoField(primary_key=True)
    scope = models.CharField(max_length=12, choices=Scope)
    reason = models.TextField()
    actor = models.CharField(max_length=150)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)
    thawed_at = models.DateTimeField(null=True, blank=True)
    thawed_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["scope"],
                condition=Q(thawed_at__isnull=True),
                name="one_standing_freeze_per_scope",
            )
        ]

    def __str__(self) -> str:
        return f"{self.scope}: {self.reason}"


class Breaker(models.Model):
    """The platform-is-down rule for the fleet, one region or one image; see `policy`."""

    class State(models.TextChoices):
        OPEN = "open"
        CANARY = "canary"

    scope = models.CharField(max_length=290, primary_key=True)
    state = models.CharField(max_length=8, choices=State)
    reason = models.TextField()
    opened_at = models.DateTimeField()
    canary = models.ForeignKey(
        "towns.Operation", null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["scope"]

    def __str__(self) -> str:
        return f"{self.scope} {self.state}"


class MaintenanceWindow(models.Model):
    """A time in which no automatic action touches the towns of a scope; the watching goes on.

    `since` may lie ahead. One whose `until` has passed means nothing any more, cleaned up or not.
    """

    id = models.BigAutoField(primary_key=True)
    scope = models.CharField(
        max_length=290, help_text="fleet, region:ams, image:registry/town:1, or town: and its id."
    )
    since = models.DateTimeField()
    until = models.DateTimeField()
    reason = models.TextField()
    actor = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, help_text="When somebody ended it before its time.")
    ended_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(until__gt=models.F("since")), name="window_ends_after_it_begins"
            )
        ]
        indexes = [
            models.Index(
                fields=["until"], condition=Q(ended_at__isnull=True), name="windows_not_ended"
            )
        ]

    def __str__(self) -> str:
        return f"{self.scope}: {self.reason}"
