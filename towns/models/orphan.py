"""Orphans: machines and volumes at Fly that no town holds. Found by reconciliation."""

from django.db import models

from towns.drift import ThingKind
from towns.orphan_policy import Cause

CAUSES = {
    Cause.NO_TOWN: "of no town that we know",
    Cause.DESTROYED_TOWN: "of a destroyed town",
    Cause.OLD_VOLUME: "an old volume of a town",
    Cause.OLD_MACHINE: "another machine of a town",
    Cause.DRILL: "left over from a drill",
    Cause.FOREIGN: "not ours",
}


class Orphan(models.Model):
    """One machine or volume. It is only reported until staff confirm that it may go."""

    class State(models.TextChoices):
        REPORTED = "reported"
        CONFIRMED = "confirmed"
        CLEARED = "cleared", "no orphan after all"
        GONE = "gone"

    id = models.BigAutoField(primary_key=True)
    fly_id = models.CharField("id at Fly", max_length=40, unique=True)
    fly_app = models.CharField(
        max_length=63,
        blank=True,
        default="",
        db_default="",
        help_text="The Fly app that it is in.",
    )
    kind = models.CharField(max_length=8, choices=[(k.value, k.value) for k in ThingKind])
    cause = models.CharField(max_length=16, choices=[(c.value, CAUSES[c]) for c in Cause])
    state = models.CharField(max_length=10, choices=State, default=State.REPORTED)
    town = models.ForeignKey(
        "towns.Town", null=True, on_delete=models.PROTECT, related_name="orphans"
    )
    name = models.CharField(max_length=80, blank=True)
    region = models.CharField(max_length=16, blank=True)
    size_gb = models.PositiveIntegerField(null=True)
    fly_state = models.CharField(max_length=32, blank=True)
    reason = models.TextField(help_text="Why it counts as an orphan.")
    withheld = models.TextField(blank=True, help_text="Why it is not destroyed now.")
    made_at = models.DateTimeField(null=True, help_text="By Fly's word.")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    confirmed_by = models.CharField(max_length=150, blank=True)
    discard = models.BooleanField(default=False, help_text="It may go without a verified backup.")
    asked_at = models.DateTimeField(null=True, help_text="When Fly was last told to destroy it.")
    ended_at = models.DateTimeField(null=True, help_text="When it was seen gone, or was cleared.")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "-id"], name="orphans_by_state")]
        permissions = [("confirm_orphan", "Can confirm that orphans are destroyed")]

    def __str__(self) -> str:
        return f"{self.kind} {self.fly_id}"


OPEN_STATES = (Orphan.State.REPORTED, Orphan.State.CONFIRMED)
"""The states in which Fly still has it, as far as we know, and no town holds it."""
