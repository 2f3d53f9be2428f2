"""Sums that all processes add to, for Prometheus."""

from django.db import models


class MetricSum(models.Model):
    """One counter, or one bucket of a histogram; only ever added to, by `towns.metrics.store`."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=60)
    labels = models.CharField(max_length=200, help_text="As JSON, sorted by name.")
    value = models.FloatField(default=0)

    class Meta:
        ordering = ["name", "labels"]
        constraints = [
            models.UniqueConstraint(fields=["name", "labels"], name="one_sum_per_name_and_labels")
        ]

    def __str__(self) -> str:
        return f"{self.name}{self.labels}"
