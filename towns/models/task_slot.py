"""Slots of tasks: how many of one kind may run at once."""

from django.db import models


class TaskSlot(models.Model):
    """A place for one task, free when `until` has passed. Without a host it is any host's."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=16)
    host = models.CharField(max_length=80, blank=True)
    number = models.PositiveSmallIntegerField()
    holder = models.CharField(max_length=80, blank=True)
    until = models.DateTimeField()

    class Meta:
        ordering = ["kind", "host", "number"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "host", "number"], name="one_slot_per_number")
        ]

    def __str__(self) -> str:
        return f"slot {self.number} of {self.kind} at {self.host or 'any host'}"
