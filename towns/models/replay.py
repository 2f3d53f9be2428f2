"""Replays: recorded days decided again under changed settings, and what came of it."""

import uuid

from django.conf import settings
from django.db import models


class ReplayRun(models.Model):
    """One replay that workers make, part after part. Written by `towns.replay.runs` alone."""

    class State(models.TextChoices):
        OPEN = "open"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    changes = models.JSONField(default=list, help_text="NAME=VALUE, each.")
    days = models.PositiveIntegerField()
    towns = models.JSONField(default=list, help_text="Ids of the towns; empty: all.")
    region = models.CharField(max_length=16, blank=True, help_text="Only towns of it.")
    sample = models.PositiveIntegerField(null=True, help_text="At most so many towns.")
    actor = models.CharField(max_length=150)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(help_text="The days before it are replayed.")
    went_on_at = models.DateTimeField(help_text="When a worker last went on with it.")
    finished_at = models.DateTimeField(null=True)
    total = models.PositiveIntegerField(help_text="About how many towns there are to replay.")
    done = models.PositiveIntegerField(default=0)
    after = models.UUIDField(null=True, help_text="The last town that is done.")
    counted = models.JSONField(default=dict)
    result = models.TextField(blank=True, help_text="In one sentence; or why it failed.")

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "replay"
        indexes = [models.Index(fields=["-created_at", "-id"], name="replays_newest_first")]

    def __str__(self) -> str:
        changes = ", ".join(map(_readable, self.changes))
        return f"{changes or 'unchanged settings'}, {self.days} days"

    @property
    def is_open(self) -> bool:
        """Whether workers have still to go on with it."""
        return self.state == self.State.OPEN


def _readable(change: str) -> str:
    name, _, value = change.partition("=")
    return f"{name.removeprefix('GASTOWN_').lower().replace('_', ' ')} {value}"
