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
