"""Restore drills: a town's newest snapshot, restored for real on a throw-away machine."""

from django.db import models
from django.db.models import Q


class Drill(models.Model):
    """One drill and what it proved. Its id is its operation's, from which the names of its
    throw-away machine and volume are made: what was made but not saved is found by them."""

    class Result(models.TextChoices):
        OK = "ok", "ok: the newest snapshot restored, and its data opened"
        CORRUPT = "corrupt", "corrupt: the newest snapshot does not restore"
        FAILED = "failed", "failed: nothing to restore, or its data don't open"
        INCONCLUSIVE = "inconclusive", "inconclusive: it proves nothing"

    id = models.UUIDField(primary_key=True, editable=False)
    town = models.ForeignKey("towns.Town", on_delete=models.PROTECT, related_name="drills")
    operation = models.OneToOneField(
        "towns.Operation", null=True, on_delete=models.SET_NULL, related_name="drill"
    )
    automatic = models.BooleanField(default=False)
    snapshot = models.CharField(max_length=32, blank=True, help_text="The newest, to be restored.")
    result = models.CharField(max_length=12, blank=True, choices=Result)
    reason = models.TextField(blank=True)
    fell_back_to = models.CharField(
        max_length=32, blank=True, help_text="The older snapshot that restored in its place."
    )
    corrupt = models.JSONField(default=list, help_text="The snapshots that did not restore.")
    bytes = models.BigIntegerField(null=True)
    began_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, help_text="When the result was known.")
    fly_app = models.CharField(
        max_length=63,
        blank=True,
        default="",
        db_default="",
        help_text="The Fly app that its machine and volume are in.",
    )
    machine_id = models.CharField(max_length=32, blank=True, help_text="Throw-away.")
    volume_id = models.CharField(max_length=40, blank=True, help_text="Throw-away.")
    cleaned_at = models.DateTimeField(
        null=True, help_text="When its machine and its volume were seen gone."
    )

    class Meta:
        ordering = ["-began_at", "-id"]
        indexes = [
            models.Index(fields=["town", "-began_at"], name="drills_of_a_town"),
            models.Index(fields=["-began_at"], name="drills_newest_first"),
            models.Index(
                fields=["began_at"], condition=Q(cleaned_at__isnull=True), name="drills_left_over"
            ),
        ]
        permissions = [("drill_town", "Can have restore drills made of towns")]

    def __str__(self) -> str:
        return f"drill of {self.town_id}: {self.result or 'under way'}"

    @property
    def seconds(self) -> float | None:
        """How long it took until its result was known."""
        if self.finished_at is None:
            return None
        return (self.finished_at - self.began_at).total_seconds()
