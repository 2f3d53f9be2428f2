"""Operations: one durable run of a flow for one town."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q, QuerySet

from towns.words import BESIDE, OperationKind, OperationState, Status


class Operation(models.Model):
    """The whole state of a run. A row with `state` open is under way; one per town at most."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    town = models.ForeignKey("towns.Town", on_delete=models.PROTECT, related_name="operations")
    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in OperationKind])
    state = models.CharField(
        max_length=16,
        choices=[(s.value, s.value) for s in OperationState],
        default=OperationState.OPEN,
    )
    step = models.CharField(max_length=40)
    attempt = models.PositiveIntegerField(default=0, help_text="Failed tries of this step.")
    message = models.TextField(blank=True, help_text="What it waits for, or what went wrong last.")
    log = models.JSONField(default=list, help_text="What its steps did, in their order.")

    actor = models.CharField(max_length=150)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    automatic = models.BooleanField(default=False)
    reason = models.TextField(blank=True)
    params = models.JSONField(default=dict)
    learned = models.JSONField(default=dict, help_text="Ids and pointers that steps found.")
    status_before = models.CharField(max_length=16, choices=[(s.value, s.value) for s in Status])
    undoing = models.TextField(blank=True, help_text="Why it failed, while it cleans up.")

    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    deadline_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    lease_owner = models.CharField(max_length=80, blank=True)
    lease_until = models.DateTimeField(null=True)
    lease_number = models.PositiveIntegerField(default=0)
    successor = models.OneToOneField(
        "self", null=True, on_delete=models.SET_NULL, related_name="predecessor"
    )

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["town"],
                condition=Q(state=OperationState.OPEN),
                name="one_operation_under_way_per_town",
            ),
        ]
        indexes = [
            models.Index(
                fields=["automatic", "due_at"],
                condition=Q(state=OperationState.OPEN),
                name="operations_due",
            ),
            models.Index(fields=["town", "-created_at"], name="operations_of_a_town"),
            models.Index(fields=["kind", "-created_at"], name="operations_by_kind"),
            models.Index(fields=["-created_at", "-id"], name="operations_newest_first"),
            models.Index(
                fields=["finished_at", "town"],
                condition=Q(actor="sweep:idle", kind="stop", state="succeeded"),
                name="idle_stops_by_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.town_id}"

    @classmethod
    def owning(cls) -> "QuerySet[Operation]":
        """Those under way that own their town: nobody else may judge or change it meanwhile."""
        return cls.objects.filter(state=OperationState.OPEN).exclude(kind__in=BESIDE)

    @property
    def is_open(self) -> bool:
        """Whether it is under way."""
        return self.state == OperationState.OPEN
