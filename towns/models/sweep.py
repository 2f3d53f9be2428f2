"""Sweeps: one pass over all towns that are due, split into chunks."""

from django.db import models


class Sweep(models.Model):
    """One slot of one kind of sweep. `chunks` are the key ranges that make it up."""

    class Kind(models.TextChoices):
        HEALTH = "health"
        IDLE = "idle"
        RECONCILE = "reconcile"
        BACKUPS = "backups"

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=12, choices=Kind)
    slot = models.DateTimeField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    towns = models.PositiveIntegerField(default=0)
    summary = models.JSONField(default=dict)

    class Meta:
        ordering = ["-slot"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "slot"], name="one_sweep_per_kind_and_slot")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.slot:%Y-%m-%d %H:%M:%S}"


class SweepChunk(models.Model):
    """A key range of a sweep, and what was found in it. Done when `finished_at` is set; in one
    runner's hand until `lease_until`."""

    id = models.BigAutoField(primary_key=True)
    sweep = models.ForeignKey(Sweep, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    first_town = models.UUIDField()
    last_town = models.UUIDField()
    finished_at = models.DateTimeField(null=True)
    counts = models.JSONField(default=dict)
    lease_owner = models.CharField(max_length=80, blank=True, default="", db_default="")
    lease_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["sweep", "number"], name="one_chunk_per_number")
        ]

    def __str__(self) -> str:
        return f"chunk {self.number} of {self.sweep_id}"
