"""Backups: snapshots in R2 that we have verified or heard of."""

from django.db import models


class Backup(models.Model):
    """One snapshot of a town. `kind` says where it lies: the live or the retained prefix."""

    class Kind(models.TextChoices):
        LIVE = "live"
        RETAINED = "retained"

    id = models.BigAutoField(primary_key=True)
    town = models.ForeignKey("towns.Town", on_delete=models.PROTECT, related_name="backups")
    operation = models.ForeignKey(
        "towns.Operation", null=True, on_delete=models.SET_NULL, related_name="backups"
    )
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.LIVE)
    snapshot = models.CharField(max_length=32, help_text="Its timestamp in R2.")
    created_at = models.DateTimeField(help_text="When the sandbox made it.")
    generation = models.PositiveIntegerField(null=True)
    bytes = models.BigIntegerField(default=0)
    files = models.PositiveIntegerField(default=0)
    verified_at = models.DateTimeField(null=True)
    held = models.BooleanField(default=False, help_text="Kept back by the shrink guard.")
    dropped_at = models.DateTimeField(
        null=True, help_text="When staff decided against a held snapshot."
    )
    gone_at = models.DateTimeField(null=True, help_text="When it was removed from R2.")

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["town", "kind", "snapshot"], name="one_backup_per_snapshot"
            )
        ]
        permissions = [("decide_backup", "Can accept and drop held snapshots")]

    def __str__(self) -> str:
        return f"{self.snapshot} ({self.kind})"
