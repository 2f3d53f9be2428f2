"""Driver slots: how many driving tasks may run at once in the whole fleet of workers."""

from django.db import models


class DriverSlot(models.Model):
    """A place for one driving task. Free when `until` has passed."""

    number = models.PositiveSmallIntegerField(primary_key=True)
    holder = models.CharField(max_length=80, blank=True)
    until = models.DateTimeField()

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return f"driver slot {self.number}"
