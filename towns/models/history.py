"""Lifecycle events: the append-only history of a town."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models


class ImmutableError(TypeError):
    """Somebody tried to change or delete history."""

    def __init__(self) -> None:
        super().__init__("Lifecycle events are append-only: write a new one instead.")


class AppendOnlyQuerySet(models.QuerySet["LifecycleEvent"]):
    """Refuses every bulk way of changing or deleting rows."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise ImmutableError

    def delete(self) -> NoReturn:
        raise ImmutableError

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ImmutableError

    def update_or_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ImmutableError


class LifecycleEvent(models.Model):
    """One line of history: who, what, from, to, why. Written by `towns.history` alone."""

    id = models.BigAutoField(primary_key=True)
    town = models.ForeignKey("towns.Town", on_delete=models.PROTECT, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=40, help_text="What happened, as a short slug.")
    from_status = models.CharField(max_length=16, blank=True)
    to_status = models.CharField(max_length=16, blank=True)
    actor = models.CharField(max_length=150)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, related_name="+"
    )
    automatic = models.BooleanField(default=False)
    reason = models.TextField(blank=True)
    operation = models.ForeignKey(
        "towns.Operation", null=True, on_delete=models.PROTECT, related_name="events"
    )
    data = models.JSONField(default=dict, help_text="The rule and the inputs that decided.")

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=["town", "-id"], name="events_of_a_town"),
            models.Index(fields=["kind", "-id"], name="events_by_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.kind}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ImmutableError
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ImmutableError
