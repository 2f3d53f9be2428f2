"""Budgets that all workers on all hosts share."""

from django.db import models


class FlyBudget(models.Model):
    """A token bucket for one kind of call to Fly on one machine, volume or app."""

    key = models.CharField(max_length=200, primary_key=True, help_text="Action and subject.")
    full_at = models.FloatField(
        help_text="When it is full again: seconds since 1970, by the database's clock."
    )

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.key


class CountedBudget(models.Model):
    """A budget whose use is counted under the lock of its row, so one by one in the whole fleet."""

    name = models.CharField(max_length=40, primary_key=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
