"""Bulk work: one thing done to many towns, at a pace."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from towns.words import OperationKind


class BulkRun(models.Model):
    """What is done, to whom, and how far it is. Its towns were fixed when it was previewed."""

    class State(models.TextChoices):
        PLANNING = "planning"
        PREVIEWED = "previewed"
        CANARY = "canary"
        RUNNING = "running"
        PAUSED = "paused"
        CANCELLED = "cancelled"
        DONE = "done"

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in OperationKind])
    state = models.CharField(max_length=10, choices=State, default=State.PLANNING)
    note = models.TextField(blank=True, help_text="Why it is as it is.")
    reason = models.TextField(blank=True)
    actor = models.CharField(max_length=150)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    weigh = models.JSONField(
        default=dict, help_text="Counts of what is at stake in the towns it is done to."
    )
    selection = models.TextField(help_text="How its towns were chosen.")
    at_once = models.PositiveIntegerField(default=10)
    canaries = models.PositiveIntegerField(default=1)
    failures_allowed = models.PositiveIntegerField(default=3)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["id"], condition=Q(state__in=("canary", "running")), name="bulk_runs_going"
            )
        ]

    def __str__(self) -> str:
        return f"bulk run {self.pk}: {self.kind}"

    @property
    def is_going(self) -> bool:
        """Whether it goes on by itself."""
        return self.state in GOING


GOING = (BulkRun.State.CANARY, BulkRun.State.RUNNING)


class BulkItem(models.Model):
    """One town of a run, and what came of it."""

    class State(models.TextChoices):
        UNSEEN = "unseen"
        WAITING = "waiting"
        ASKED = "asked"
        DONE = "done"
        FAILED = "failed"
        SKIPPED = "skipped"

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(BulkRun, on_delete=models.CASCADE, related_name="items")
    town = models.ForeignKey("towns.Town", on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.UNSEEN)
    operation = models.ForeignKey(
        "towns.Operation", null=True, on_delete=models.PROTECT, related_name="+"
    )
    told = models.TextField(blank=True, help_text="Why it was skipped or failed, or what follows.")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "town"], name="a_town_once_in_a_bulk_run")
        ]
        indexes = [models.Index(fields=["run", "state", "id"], name="bulk_items_by_state")]

    def __str__(self) -> str:
        return f"{self.state} in run {self.run_id}"
